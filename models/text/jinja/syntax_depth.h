// How deep an expression is: of the tree below it, so that what is nested too deeply is refused before it is run.
#pragma once

#include "models/text/jinja/syntax.h"

namespace csreft::jinja {

int depth_below(const Constant& form);
int depth_below(const Name& form);
int depth_below(const ListLiteral& form);
int depth_below(const DictLiteral& form);
int depth_below(const Unary& form);
int depth_below(const Binary& form);
int depth_below(const Comparison& form);
int depth_below(const Concatenation& form);
int depth_below(const Conditional& form);
int depth_below(const Attribute& form);
int depth_below(const Item& form);
int depth_below(const Slice& form);
int depth_below(const Call& form);
int depth_below(const Filter& form);
int depth_below(const Test& form);

}  // namespace csreft::jinja
