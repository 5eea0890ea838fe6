// EngineCommand[] of src/base/engine.ts as JavaScript objects -> weft::Command values.
#pragma once

#include <napi.h>

#include <vector>

#include "commands.h"
#include "values.h"

namespace weft {

/// Appends one command for each element. Byte arrays are borrowed from `commands`. On a value of a
/// wrong type `reader` holds the mistake and the result must not be used.
void readCommands(FieldReader& reader, Napi::Array commands, std::vector<Command>& into);

}  // namespace weft
