#include <cstring>

#include "harness.h"

int main(int argc, char** argv) {
  int passed = 0;
  int failed = 0;
  for (const auto& test : weft::test::cases()) {
    if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;
    weft::test::failed() = false;
    test.body();
    if (weft::test::failed()) std::printf("FAILED  %s\n", test.name);
    (weft::test::failed() ? failed : passed)++;
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
