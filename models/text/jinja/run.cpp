#include "models/text/jinja/run.h"

#include <algorithm>

#include "core/base/error.h"
#include "models/text/tokenizer.h"

namespace csreft::jinja {
namespace {

// Puts a value in a place while it lives.
template <typename T>
class Placed {
 public:
  Placed(T& place, T value) : place_(place), before_(std::exchange(place, std::move(value))) {}
  ~Placed() { place_ = std::move(before_); }
  Placed(const Placed&) = delete;
  Placed& operator=(const Placed&) = delete;

 private:
  T& place_;
  T before_;
};

std::shared_ptr<Scope> scope_in(const std::shared_ptr<Scope>& parent) {
  return std::make_shared<Scope>(Scope{{}, parent});
}

void check_depth(int depth) {
  require(depth < max_run_depth, "expressions, blocks and macros are nested deeper than {}: expected fewer levels",
          max_run_depth);
}

}  // namespace

bool Loop::fetch(Value& value) {
  while (next < items.size()) {
    Value candidate = items[next++];
    if (passes != nullptr && !passes(candidate)) continue;
    value = std::move(candidate);
    return true;
  }
  return false;
}

bool Loop::advance() {
  Value fetched;
  if (!ahead.empty()) {
    fetched = std::move(ahead.back());
    ahead.pop_back();
  } else if (!fetch(fetched)) {
    return false;
  }
  previous = std::move(current);
  current = std::move(fetched);
  ++index;
  return true;
}

const Value* Loop::peek() {
  if (ahead.empty()) {
    Value value;
    if (!fetch(value)) return nullptr;
    ahead.push_back(std::move(value));
  }
  return &ahead.back();
}

std::size_t Loop::length() {
  if (passes == nullptr) return items.size();
  std::vector<Value> rest;
  for (Value value; fetch(value);) rest.push_back(value);
  ahead.insert(ahead.begin(), rest.rbegin(), rest.rend());
  return index + ahead.size();
}

Run::~Run() {
  for (const auto& scope : captured_) scope->variables.clear();
  for (const auto& space : namespaces_) space->members.clear();
  for (const auto& loop : watched_) loop->watched.reset();
}

std::string Run::render(const Statements& statements, const std::vector<std::pair<std::string, Value>>& variables) {
  std::string out;
  out_ = &out;
  scope_ = std::make_shared<Scope>();
  for (const auto& [name, value] : variables) scope_->variables.emplace(name, value);
  try {
    execute(statements);
  } catch (const Error& error) {
    fail("line {}: {}", line_, error.what());
  }
  return out;
}

void Run::charge(std::size_t bytes_or_members) {
  steps_ += 1 + bytes_or_members / 32;
  require(steps_ <= max_steps, "it takes more than {} steps: expected a template that ends", max_steps);
}

void Run::charge_made(std::size_t bytes) {
  charge(bytes);
  require(bytes <= max_made_bytes - made_bytes_, "it makes more than {} bytes of text and lists: expected fewer",
          max_made_bytes);
  made_bytes_ += bytes;
}

Value Run::made(std::string made_text) {
  charge_made(made_text.size());
  return text(std::move(made_text));
}

Value Run::made(std::vector<Value> items, Sequence::Kind kind) {
  charge_made(items.size() * sizeof(Value));
  return sequence(std::move(items), kind);
}

Namespace* Run::make_namespace() {
  charge_made(sizeof(Namespace));
  return namespaces_.emplace_back(std::make_unique<Namespace>()).get();
}

bool Run::changed(const std::shared_ptr<Loop>& loop, std::vector<Value> values) {
  for (const auto& value : values) charge_made(sizeof(Value) + weight(value));
  if (loop->watched && std::ranges::equal(*loop->watched, values, equal)) return false;
  if (!loop->watched) watched_.push_back(loop);
  loop->watched = std::move(values);
  return true;
}

Value Run::call(const Value& callee, Arguments& arguments) {
  require(!callee.is<Undefined>(), "{}", callee.is<Undefined>() ? *callee.as<Undefined>().why : "");
  require(callee.is<std::shared_ptr<const Function>>(), "a '{}' is called: expected a function or a macro",
          type_name(callee));
  // Kept until it returns: it may give its own name another value.
  return std::shared_ptr<const Function>(callee.as<std::shared_ptr<const Function>>())->call(*this, arguments);
}

void Run::write(std::string_view text) {
  charge(text.size());
  require(text.size() <= max_output_bytes - std::min(max_output_bytes, out_->size()),
          "it writes more than {} bytes: expected fewer", max_output_bytes);
  *out_ += text;
}

std::string Run::capture(const Statements& statements) {
  std::string out;
  const Placed<std::string*> to(out_, &out);
  const Placed<std::shared_ptr<Scope>> in(scope_, scope_in(scope_));
  execute(statements);
  return out;
}

Run::Flow Run::execute(const Statements& statements) {
  for (const auto& statement : statements) {
    const Flow flow = execute(statement);
    if (flow != Flow::on) return flow;
  }
  return Flow::on;
}

Run::Flow Run::execute(const Statement& statement) {
  check_depth(depth_);
  const Placed<int> deeper(depth_, depth_ + 1);
  line_ = statement.line;
  charge(0);
  return std::visit([this](const auto& form) { return execute_form(form); }, statement.form);
}

Run::Flow Run::execute_form(const PlainText& form) {
  write(form.text);
  return Flow::on;
}

Run::Flow Run::execute_form(const Output& form) {
  const Value value = evaluate(*form.value);
  charge(weight(value));
  if (value.is_text()) {
    write(value.text());
  } else {
    write(to_text(value));
  }
  return Flow::on;
}

Run::Flow Run::execute_form(const If& form) {
  for (const auto& [condition, body] : form.branches) {
    if (is_true(evaluate(*condition))) return execute(body);
  }
  return execute(form.otherwise);
}

Run::Flow Run::execute_form(const For& form) {
  const auto around = scope_;
  const auto loop = std::make_shared<Loop>();
  const Value items = evaluate(*form.items);
  charge_made(weight(items));
  loop->items = iterate(items);
  if (form.condition != nullptr) {
    loop->passes = [&](const Value& value) {
      const Placed<std::shared_ptr<Scope>> in(scope_, scope_in(around));
      assign(form.target, value);
      return is_true(evaluate(*form.condition));
    };
  }
  bool has_run = false;  // a body to its end, as Jinja counts
  while (loop->advance()) {
    const Placed<std::shared_ptr<Scope>> in(scope_, scope_in(around));
    assign(form.target, loop->current);
    scope_->variables["loop"] = loop;
    const Flow flow = execute(form.body);
    if (flow == Flow::broke) break;
    if (flow == Flow::on) has_run = true;
  }
  loop->passes = nullptr;
  if (has_run) return Flow::on;
  const Placed<std::shared_ptr<Scope>> in(scope_, scope_in(around));
  return execute(form.otherwise);
}

Run::Flow Run::execute_form(const Set& form) {
  assign(form.target, evaluate(*form.value));
  return Flow::on;
}

Run::Flow Run::execute_form(const SetBlock& form) {
  assign(form.target, filtered(form.filter.get(), capture(form.body)));
  return Flow::on;
}

Run::Flow Run::execute_form(const Macro& form) {
  captured_.push_back(scope_);
  scope_->variables[form.macro->name] = make_macro(form.macro);
  return Flow::on;
}

Run::Flow Run::execute_form(const CallBlock& form) {
  const Value callee = evaluate(*form.call.callee);
  Arguments arguments = evaluate_arguments(form.call.arguments);
  arguments.named.emplace_back("caller", make_macro(form.caller));
  const Value value = call(callee, arguments);
  charge(weight(value));
  write(to_text(value));
  return Flow::on;
}

Run::Flow Run::execute_form(const FilterBlock& form) {
  const Value value = filtered(form.filter.get(), capture(form.body));
  charge(weight(value));
  write(to_text(value));
  return Flow::on;
}

Run::Flow Run::execute_form(const With& form) {
  std::vector<Value> values;
  for (const auto& [target, value] : form.variables) values.push_back(evaluate(*value));
  const Placed<std::shared_ptr<Scope>> in(scope_, scope_in(scope_));
  for (std::size_t i = 0; i < values.size(); ++i) assign(form.variables[i].first, values[i]);
  return execute(form.body);
}

void Run::assign(const Target& target, const Value& value) {
  if (!target.parts.empty()) {
    charge(weight(value));
    const auto items = iterate(value);
    require(items.size() == target.parts.size(), "{} values are unpacked into {} names: expected as many", items.size(),
            target.parts.size());
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i]);
    return;
  }
  if (target.member.empty()) {
    scope_->variables[target.name] = value;
    return;
  }
  const Value object = evaluate_form(Name{target.name});
  require(object.is<Namespace*>(), "'{}' is no namespace: expected `set {} = namespace()` before a member is set",
          target.name, target.name);
  require(!target.member.starts_with('_'), "a namespace has no member '{}': expected a name without an underscore",
          target.member);
  auto& members = object.as<Namespace*>()->members;
  const auto found = std::ranges::find(members, target.member, [](const auto& member) { return member.first; });
  charge(32 * members.size());
  if (found == members.end()) {
    members.emplace_back(target.member, value);
  } else {
    found->second = value;
  }
}

Value Run::filtered(const Expression* filter, std::string block) {
  Value value = made(std::move(block));
  if (filter == nullptr) return value;
  const Placed<Value> applied(block_text_, std::move(value));
  return evaluate(*filter);
}

Value Run::make_macro(const std::shared_ptr<const MacroBody>& macro) {
  charge_made(256);
  return function(macro->name, [macro, around = scope_](Run& run, Arguments& arguments) {
    return run.call_macro(*macro, around, arguments);
  });
}

std::vector<std::optional<Value>> Run::bind_macro(const MacroBody& macro, Arguments& arguments,
                                                  std::unordered_map<std::string, Value>& special) {
  const auto& parameters = macro.parameters;
  const auto n_positional = static_cast<std::ptrdiff_t>(std::min(arguments.positional.size(), parameters.size()));
  std::vector<std::optional<Value>> given(parameters.size());
  std::copy_n(arguments.positional.begin(), n_positional, given.begin());
  const auto explicit_caller = std::ranges::find(parameters, "caller", &Parameter::name);
  const bool takes_caller = macro.names.caller && explicit_caller == parameters.end();
  if (takes_caller) special["caller"] = undefined("no caller is defined");
  std::vector<std::pair<Value, Value>> more;
  for (const auto& [name, value] : arguments.named) {
    const auto at = std::ranges::find(parameters, name, &Parameter::name) - parameters.begin();
    if (at >= n_positional && at < std::ssize(parameters)) {
      given[static_cast<std::size_t>(at)] = value;
    } else if (takes_caller && name == "caller") {
      special[name] = value;
    } else {
      require(macro.names.kwargs, "macro '{}' takes no '{}' by name: expected its other parameters", macro.name,
              printable(name));
      more.emplace_back(text(name), value);
    }
  }
  if (macro.names.kwargs) special["kwargs"] = dict(std::move(more));
  std::vector<Value> rest(arguments.positional.begin() + n_positional, arguments.positional.end());
  require(macro.names.varargs || rest.empty(), "macro '{}' is called with {} arguments: expected at most {}",
          macro.name, arguments.positional.size(), parameters.size());
  if (macro.names.varargs) special["varargs"] = made(std::move(rest), Sequence::Kind::tuple);
  return given;
}

Value Run::call_macro(const MacroBody& macro, const std::shared_ptr<Scope>& around, Arguments& arguments) {
  const auto& parameters = macro.parameters;
  const auto inner = scope_in(around);
  auto given = bind_macro(macro, arguments, inner->variables);
  const Placed<std::shared_ptr<Scope>> in(scope_, inner);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& parameter = parameters[i];
    Value value = given[i] ? *given[i] : undefined("parameter '" + parameter.name + "' was not provided");
    if (!given[i] && parameter.fallback != nullptr) value = evaluate(*parameter.fallback);
    inner->variables[parameter.name] = std::move(value);
  }
  std::string out;
  const Placed<std::string*> to(out_, &out);
  execute(macro.body);
  return made(std::move(out));
}

}  // namespace csreft::jinja
