// The usual helper to visit a variant with one lambda for each alternative.
#pragma once

namespace weft {

template <typename... Lambdas>
struct Overloaded : Lambdas... {
  using Lambdas::operator()...;
};
/// clang 14 does not deduce it by itself (P1816).
template <typename... Lambdas>
Overloaded(Lambdas...) -> Overloaded<Lambdas...>;

}  // namespace weft
