// weft::Upcall values -> Upcall objects of src/base/engine.ts.
#pragma once

#include <napi.h>

#include <vector>

#include "upcalls.h"

namespace weft {

/// A JavaScript array with one object for each upcall, in order.
Napi::Array writeUpcalls(Napi::Env env, const std::vector<Upcall>& upcalls);

}  // namespace weft
