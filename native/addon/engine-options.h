// The options object of the JavaScript classes Engine and Tap -> weft::Options, weft::TapOptions.
#pragma once

#include <napi.h>

#include "engine.h"
#include "values.h"

namespace weft {

Options readEngineOptions(FieldReader& reader, Napi::Object from);
TapOptions readTapOptions(FieldReader& reader, Napi::Object from);

}  // namespace weft
