// A test is a function that registers itself; a failed CHECK names file, line and values and ends
// the test. `engine-test [WORD]` runs the tests whose name contains WORD.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace weft::test {

struct Case {
  const char* name;
  void (*body)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

/// Set by a failed CHECK of the running test.
inline bool& failed() {
  static bool flag = false;
  return flag;
}

struct Register {
  Register(const char* name, void (*body)()) { cases().push_back({name, body}); }
};

inline void report(const char* file, int line, const std::string& what) {
  std::printf("  %s:%d: %s\n", file, line, what.c_str());
  failed() = true;
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr int slowdown = 20;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
inline constexpr int slowdown = 20;
#else
inline constexpr int slowdown = 1;
#endif
#else
inline constexpr int slowdown = 1;
#endif
/// Waits for something that must come get more time under a sanitizer; short ones, which show that
/// nothing comes, stay short.
inline constexpr int patience(int timeoutMs) {
  return timeoutMs >= 1'000 ? timeoutMs * slowdown : timeoutMs;
}

/// Small, fast, seeded: the same numbers in every run.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 0x2545f4914f6cdd1d;
  }
  /// 0 .. bound - 1
  uint64_t below(uint64_t bound) { return (next() >> 11) % bound; }
  uint8_t byte() { return static_cast<uint8_t>(next() >> 56); }
  std::vector<uint8_t> bytes(size_t count) {
    std::vector<uint8_t> made(count);
    for (uint8_t& each : made) each = byte();
    return made;
  }

 private:
  uint64_t state_;
};

}  // namespace weft::test

#define WEFT_JOIN2(a, b) a##b
#define WEFT_JOIN(a, b) WEFT_JOIN2(a, b)
#define TEST(name)                                                                          \
  static void WEFT_JOIN(test_, __LINE__)();                                                 \
  static const weft::test::Register WEFT_JOIN(register_, __LINE__)(name,                    \
                                                                   WEFT_JOIN(test_, __LINE__)); \
  static void WEFT_JOIN(test_, __LINE__)()

#define CHECK(condition)                                      \
  do {                                                        \
    if (!(condition)) {                                       \
      weft::test::report(__FILE__, __LINE__, #condition);     \
      return;                                                 \
    }                                                         \
  } while (0)

#define CHECK_EQ(actual, expected)                                                            \
  do {                                                                                        \
    const auto actualValue = static_cast<long long>(actual);                                  \
    const auto expectedValue = static_cast<long long>(expected);                              \
    if (actualValue != expectedValue) {                                                       \
      weft::test::report(__FILE__, __LINE__,                                                  \
                         std::string(#actual) + " is " + std::to_string(actualValue) +        \
                             ", not " #expected " = " + std::to_string(expectedValue));       \
      return;                                                                                 \
    }                                                                                         \
  } while (0)
