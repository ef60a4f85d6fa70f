// Python's operators and subscripts.
#pragma once

#include <string_view>

#include "models/text/jinja/run.h"

namespace csreft::jinja {

// Each throws Error for operands that Python refuses, and for whole numbers beyond 64 bits.
Value arithmetic(Run& run, std::string_view op, const Value& left, const Value& right);  // + - * / // % **
Value negated(const Value& value);
bool compared(Run& run, std::string_view op, const Value& left, const Value& right);  // ==, <, "in", "not in", ...
// object[start:stop:step], each of which may be none or undefined.
Value sliced(Run& run, const Value& object, const Value& start, const Value& stop, const Value& step);
// The member at an index, which counts from the end if it is negative; nullptr outside.
const Value* member_at(const std::vector<Value>& items, std::int64_t index);

}  // namespace csreft::jinja
