// The usual helper to visit a variant with one lambda for each alternative.
#pragma once

namespace weft {

template <typename... Lambdas>
struct Overloaded : Lambdas... {
  using Lambdas::operator()...;
};

}  // namespace weft
