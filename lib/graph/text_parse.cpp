#include <set>

#include "lib/base/error.h"
#include "lib/graph/text.h"
#include "lib/graph/text_tensor.h"

namespace espalier {
namespace text {
namespace {

constexpr int kMaxDepth = 32;
constexpr int kDefaultOpset = 17;

struct Named {
  std::string name;
  Type type;
  size_t at;
};

/// Reads one graph; bodies are read by parsers of their own that look names up in `outer`.
class Parser {
 public:
  Parser(Scanner& in, const Parser* outer) : in_(in), outer_(outer), depth_(outer ? outer->depth_ + 1 : 0) {}

  Graph graph() {
    if (depth_ > kMaxDepth) in_.fail("graph is nested too deep");
    if (!in_.accept_word("graph")) in_.fail("expected 'graph'");
    if (!in_.looking_at("(")) graph_.name = in_.name();
    for (Named& input : interface()) {
      graph_.inputs.push_back(make(input.name, input.at));
      graph_.value(graph_.inputs.back()).type = std::move(input.type);
    }
    in_.expect("->");
    std::vector<Named> outputs = interface();
    opsets();
    const auto states = state_pairs();
    in_.expect("{");
    while (!in_.accept("}")) statement();
    for (Named& output : outputs) {
      const ValueId id = use(output.name, output.at);
      if (output.type.kind != Type::Kind::unknown) graph_.value(id).type = std::move(output.type);
      graph_.outputs.push_back(id);
    }
    for (const auto& [input, output] : states) {
      graph_.state_pairs.push_back({use(input.name, input.at), use(output.name, output.at)});
    }
    return std::move(graph_);
  }

 private:
  Named named() {
    Named result{{}, {}, in_.position()};
    result.name = in_.name();
    return result;
  }

  std::vector<Named> interface() {
    std::vector<Named> result;
    in_.expect("(");
    if (in_.accept(")")) return result;
    do {
      result.push_back(named());
      if (in_.accept(":")) result.back().type = parse_type(in_);
    } while (in_.accept(","));
    in_.expect(")");
    return result;
  }

  void opsets() {
    if (!in_.accept_word("opset")) {
      if (outer_) graph_.opsets = outer_->graph_.opsets;
      else graph_.opsets[""] = kDefaultOpset;
      return;
    }
    if (in_.accept_word("none")) return;
    do {
      const bool foreign = in_.looking_at_quote() || in_.peek() < '0' || in_.peek() > '9';
      const std::string domain = foreign ? in_.name() : "";
      graph_.opsets[domain] = in_.to<int>(in_.number());
    } while (in_.accept(","));
  }

  std::vector<std::pair<Named, Named>> state_pairs() {
    std::vector<std::pair<Named, Named>> result;
    if (!in_.accept_word("state")) return result;
    in_.expect("(");
    do {
      Named input = named();
      in_.expect("->");
      result.emplace_back(std::move(input), named());
    } while (in_.accept(","));
    in_.expect(")");
    return result;
  }

  // `name: type = elements`, `name: type`, or a node.
  void statement() {
    const size_t start = in_.position();
    if (!in_.looking_at("_") || in_.looking_at_quote()) {
      Named first = named();
      if (in_.accept(":")) {
        if (looking_at_type(in_)) return constant_or_declaration(first);
        in_.seek(start);
        if (!in_.looking_at_quote()) in_.fail("expected a type after the colon (a node's name stands in quotes)");
        const std::string node_name = in_.string();
        in_.expect(":");
        return node(node_name);
      }
    }
    in_.seek(start);
    node("");
  }

  void constant_or_declaration(const Named& value) {
    Type type = parse_type(in_);
    if (in_.accept("=")) {
      ValueId id = graph_.find_value(value.name);  // an input, or declared before
      if (id == kNone) id = make(value.name, value.at);
      if (graph_.initializer(id) || graph_.producer(id) != kNone) in_.fail_at(value.at, "'" + value.name + "' is made twice");
      declared_only_.erase(value.name);
      graph_.set_initializer(id, parse_elements(in_, type));
      return;
    }
    ValueId id = graph_.find_value(value.name);
    if (id == kNone) {
      id = graph_.add_value(value.name);
      declared_only_.insert(value.name);
    }
    graph_.value(id).declared = true;
    graph_.value(id).type = std::move(type);
  }

  void node(const std::string& node_name) {
    const size_t start = in_.position();
    Node n;
    n.name = node_name;
    std::vector<Named> outputs = values();
    if (outputs.size() == 1 && !in_.looking_at("=") && !in_.looking_at_quote()) {
      outputs.clear();  // a node without outputs
      in_.seek(start);
    } else {
      in_.expect("=");
    }
    n.op_type = in_.name();
    if (in_.accept("::")) {
      n.domain = std::move(n.op_type);
      n.op_type = in_.name();
    }
    const auto imported = graph_.opsets.find(n.domain);
    n.version = imported == graph_.opsets.end() ? 0 : imported->second;
    if (in_.accept("@")) n.version = in_.to<int>(in_.number());
    in_.expect("(");
    if (!in_.accept(")")) {
      for (const Named& input : values()) n.inputs.push_back(input.name.empty() ? kNone : use(input.name, input.at));
      in_.expect(")");
    }
    if (in_.accept("{")) attributes(n);
    for (const Named& output : outputs) {
      n.outputs.push_back(output.name.empty() ? kNone : make(output.name, output.at));
    }
    graph_.add_node(std::move(n));
  }

  // Names; an omitted one, `_`, is empty.
  std::vector<Named> values() {
    std::vector<Named> result;
    do {
      if (in_.accept_word("_")) result.push_back({{}, {}, in_.position()});
      else result.push_back(named());
    } while (in_.accept(","));
    return result;
  }

  void attributes(Node& n) {
    if (in_.accept("}")) return;
    do {
      const size_t at = in_.position();
      Attribute a;
      a.name = in_.name();
      if (n.has(a.name)) in_.fail_at(at, "attribute '" + a.name + "' is given twice");
      in_.expect("=");
      a.value = attribute();
      n.attributes.push_back(std::move(a));
    } while (in_.accept(","));
    in_.expect("}");
  }

  Attribute::Value attribute() {
    if (in_.accept("?")) return std::monostate();
    if (in_.accept("[")) return list();
    if (in_.looking_at("floats[")) return empty_list<float>("floats[");
    if (in_.looking_at("strings[")) return empty_list<std::string>("strings[");
    if (in_.looking_at("tensors[")) return empty_list<Tensor>("tensors[");
    if (in_.looking_at("graphs[")) return empty_list<Body>("graphs[");
    return scalar();
  }

  template <class T>
  std::vector<T> empty_list(std::string_view opening) {
    in_.expect(opening);
    in_.expect("]");
    return {};
  }

  Attribute::Value scalar() {
    if (in_.looking_at_quote()) return in_.string();
    if (looking_at_type(in_)) {
      const Type type = parse_type(in_);
      return parse_elements(in_, type);
    }
    const size_t at = in_.position();
    if (in_.accept_word("graph")) {
      in_.seek(at);
      return std::make_shared<const Graph>(Parser(in_, this).graph());
    }
    const std::string_view number = in_.number();
    const bool fraction = number.find_first_of(".eEn") != number.npos;
    if (fraction) return in_.to<float>(number);
    return in_.to<int64_t>(number);
  }

  Attribute::Value list() {
    std::vector<Attribute::Value> items;
    if (in_.accept("]")) return std::vector<int64_t>();
    do {
      items.push_back(scalar());
    } while (in_.accept(","));
    in_.expect("]");
    for (auto& item : items) {  // [1, 0.5] is a list of floats
      if (std::holds_alternative<float>(item)) return floats(items);
    }
    if (std::holds_alternative<int64_t>(items[0])) return collect<int64_t>(items);
    if (std::holds_alternative<std::string>(items[0])) return collect<std::string>(items);
    if (std::holds_alternative<Tensor>(items[0])) return collect<Tensor>(items);
    return collect<Body>(items);
  }

  std::vector<float> floats(std::vector<Attribute::Value>& items) {
    for (auto& item : items) {
      if (const auto* whole = std::get_if<int64_t>(&item)) item = static_cast<float>(*whole);
    }
    return collect<float>(items);
  }

  template <class T>
  std::vector<T> collect(const std::vector<Attribute::Value>& items) {
    std::vector<T> result;
    for (const auto& item : items) {
      if (!std::holds_alternative<T>(item)) in_.fail("list has elements of different kinds");
      result.push_back(std::get<T>(item));
    }
    return result;
  }

  bool made(const std::string& name) const {
    return graph_.find_value(name) != kNone && !declared_only_.contains(name);
  }

  /// A new value, or one that was only declared.
  ValueId make(const std::string& name, size_t at) {
    if (name.empty()) in_.fail_at(at, "empty name");
    for (const Parser* p = outer_; p; p = p->outer_) {
      if (p->made(name)) in_.fail_at(at, "'" + name + "' shadows a value of an enclosing graph");
    }
    if (made(name)) in_.fail_at(at, "'" + name + "' is made twice");
    if (declared_only_.erase(name)) return graph_.find_value(name);
    return graph_.add_value(name);
  }

  ValueId use(const std::string& name, size_t at) {
    if (made(name)) return graph_.find_value(name);
    for (const Parser* p = outer_; p; p = p->outer_) {
      if (!p->made(name)) continue;
      const ValueId id = declared_only_.erase(name) ? graph_.find_value(name) : graph_.add_value(name);
      graph_.value(id).captured = true;
      return id;
    }
    in_.fail_at(at, "'" + name + "' is used before it is made");
  }

  Scanner& in_;
  const Parser* outer_;
  int depth_;
  Graph graph_;
  std::set<std::string> declared_only_;  // named in a declaration, not made yet
};

}  // namespace
}  // namespace text

Graph parse_graph(std::string_view source) {
  text::Scanner in(source);
  Graph graph = text::Parser(in, nullptr).graph();
  if (!in.at_end()) in.fail("expected the end after the graph");
  return graph;
}

Tensor parse_tensor(std::string_view source) {
  text::Scanner in(source);
  const Type type = text::parse_type(in);
  Tensor tensor = text::parse_elements(in, type);
  if (!in.at_end()) in.fail("expected the end after the tensor");
  return tensor;
}

}  // namespace espalier
