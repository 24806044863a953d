#include <algorithm>
#include <cmath>

#include "lib/graph/text.h"
#include "lib/graph/text_tensor.h"
#include "lib/tensor/dispatch.h"

namespace espalier {
namespace text {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

template <class T>
std::string shortest(T value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

template <class T>
std::string print_number(T value) {
  if constexpr (std::is_same_v<T, bool>) return value ? "true" : "false";
  else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) return shortest(static_cast<float>(value));
  else return shortest(value);
}

template <class Item>
std::string join(size_t count, Item&& item) {
  std::string result;
  for (size_t i = 0; i < count; ++i) result += (i ? ", " : "") + item(i);
  return result;
}

std::string print_hex(std::span<const std::byte> bytes) {
  std::string result = "hex(";
  for (const std::byte b : bytes) {
    result += kHex[static_cast<size_t>(b) >> 4];
    result += kHex[static_cast<size_t>(b) & 15];
  }
  return result + ")";
}

// Of NaNs only one pattern survives as a number.
template <class T>
bool has_nan(std::span<const T> values) {
  if constexpr (!is_float_type<T>) return false;
  else return std::any_of(values.begin(), values.end(), [](T v) { return std::isnan(static_cast<Calc<T>>(v)); });
}

std::string print_dim(const Dim& dim) {
  const auto symbol = dim.symbol_name();
  if (!symbol) return dim.str();
  const bool number = symbol->find_first_not_of("0123456789") == symbol->npos;
  return number ? quoted(*symbol) : quoted_if_needed(*symbol);
}

std::string print_dims(const Type& type) {
  if (!type.dims) return "[...]";
  std::string result = "[";
  for (size_t i = 0; i < type.dims->size(); ++i) result += (i ? "," : "") + print_dim((*type.dims)[i]);
  return result + "]";
}

}  // namespace

std::string print_type(const Type& type) {
  const auto inner = [&] { return type.element ? print_type(*type.element) : std::string("?"); };
  const std::string element(name(type.elem_type));
  switch (type.kind) {
    case Type::Kind::unknown: return "?";
    case Type::Kind::tensor: return element + print_dims(type);
    case Type::Kind::sparse_tensor: return "sparse " + element + print_dims(type);
    case Type::Kind::sequence: return "sequence(" + inner() + ")";
    case Type::Kind::optional: return "optional(" + inner() + ")";
    case Type::Kind::map: return "map(" + element + ", " + inner() + ")";
  }
  return "?";
}

std::string print_elements(const Tensor& tensor, int64_t max_elements) {
  if (max_elements >= 0 && tensor.size() > max_elements) return "elided";
  if (tensor.type() == DataType::string) {
    const auto strings = tensor.strings();
    return "{" + join(strings.size(), [&](size_t i) { return quoted(strings[i]); }) + "}";
  }
  if (!is_float(tensor.type()) && !is_integer(tensor.type()) && tensor.type() != DataType::boolean) {
    return print_hex(tensor.bytes());
  }
  return dispatch_numeric(tensor.type(), [&]<class T>() {
    const auto values = tensor.data<T>();
    if (has_nan(values)) return print_hex(tensor.bytes());
    return "{" + join(values.size(), [&](size_t i) { return print_number<T>(values[i]); }) + "}";
  });
}

std::string print_float(float value) {
  const std::string result = shortest(value);
  return result.find_first_of(".einf") == result.npos ? result + ".0" : result;
}

namespace {

class Printer {
 public:
  explicit Printer(const PrintOptions& options) : options_(options) {}

  std::string graph(const Graph& g, int indent) const {
    const std::string pad(static_cast<size_t>(indent) * 2, ' ');
    std::string result = "graph " + (g.name.empty() ? "" : quoted_if_needed(g.name) + " ");
    result += "(" + interface(g, g.inputs) + ") -> (" + interface(g, g.outputs) + ")" + header(g, indent) + " {\n";
    for (const auto& [id, initializer] : g.initializers()) {
      result += pad + "  " + quoted_if_needed(g.value(id).name) + ": " + tensor(initializer.tensor, " = ") + "\n";
    }
    for (size_t id = 0; id < g.value_count(); ++id) {
      const Value& v = g.value(static_cast<ValueId>(id));
      if (v.declared) result += pad + "  " + quoted_if_needed(v.name) + ": " + print_type(v.type) + "\n";
    }
    for (const NodeId id : g.nodes()) result += pad + "  " + node(g, g.node(id), indent + 1) + "\n";
    return result + pad + "}";
  }

  std::string tensor(const Tensor& t, std::string_view between) const {
    return print_type(Type::tensor(t.type(), t.dims())) + std::string(between) + print_elements(t, options_.max_elements);
  }

 private:
  static std::string interface(const Graph& g, const std::vector<ValueId>& values) {
    return join(values.size(), [&](size_t i) {
      const Value& v = g.value(values[i]);
      return quoted_if_needed(v.name) + (v.type.kind == Type::Kind::unknown ? "" : ": " + print_type(v.type));
    });
  }

  // A body inherits the operator sets of its graph.
  static std::string header(const Graph& g, int indent) {
    std::string result;
    if (indent == 0) {
      result = g.opsets.empty() ? " opset none" : " opset ";
      bool first = true;
      for (const auto& [domain, version] : g.opsets) {
        if (!first) result += ", ";
        if (!domain.empty()) result += quoted_if_needed(domain) + " ";
        result += std::to_string(version);
        first = false;
      }
    }
    if (g.state_pairs.empty()) return result;
    return result + " state (" + join(g.state_pairs.size(), [&](size_t i) {
      return quoted_if_needed(g.value(g.state_pairs[i].input).name) + " -> " +
             quoted_if_needed(g.value(g.state_pairs[i].output).name);
    }) + ")";
  }

  static std::string names(const Graph& g, const std::vector<ValueId>& values) {
    return join(values.size(),
                [&](size_t i) { return values[i] == kNone ? "_" : quoted_if_needed(g.value(values[i]).name); });
  }

  std::string node(const Graph& g, const Node& n, int indent) const {
    std::string result = n.name.empty() ? "" : quoted(n.name) + ": ";
    if (!n.outputs.empty()) result += names(g, n.outputs) + " = ";
    if (!n.domain.empty()) result += quoted_if_needed(n.domain) + "::";
    result += quoted_if_needed(n.op_type);
    const auto imported = g.opsets.find(n.domain);
    if (n.version != (imported == g.opsets.end() ? 0 : imported->second)) result += "@" + std::to_string(n.version);
    result += "(" + names(g, n.inputs) + ")";
    if (n.attributes.empty()) return result;
    return result + " {" + join(n.attributes.size(), [&](size_t i) {
      return quoted_if_needed(n.attributes[i].name) + " = " + attribute(n.attributes[i].value, indent);
    }) + "}";
  }

  std::string attribute(const Attribute::Value& value, int indent) const {
    return std::visit([&](const auto& v) { return item(v, indent); }, value);
  }

  std::string item(std::monostate, int) const { return "?"; }
  std::string item(int64_t v, int) const { return shortest(v); }
  std::string item(float v, int) const { return print_float(v); }
  std::string item(const std::string& v, int) const { return quoted(v); }
  std::string item(const Tensor& v, int) const { return tensor(v, " "); }
  std::string item(const Body& v, int indent) const { return graph(*v, indent); }

  template <class T>
  std::string item(const std::vector<T>& v, int indent) const {
    if (v.empty()) return std::string(list_name<T>()) + "[]";
    return "[" + join(v.size(), [&](size_t i) { return item(v[i], indent); }) + "]";
  }

  template <class T>
  static constexpr std::string_view list_name() {
    if constexpr (std::is_same_v<T, float>) return "floats";
    else if constexpr (std::is_same_v<T, std::string>) return "strings";
    else if constexpr (std::is_same_v<T, Tensor>) return "tensors";
    else if constexpr (std::is_same_v<T, Body>) return "graphs";
    else return "";
  }

  const PrintOptions& options_;
};

}  // namespace
}  // namespace text

std::string print_graph(const Graph& graph, const PrintOptions& options) {
  return text::Printer(options).graph(graph, 0) + "\n";
}

std::string print_tensor(const Tensor& tensor, const PrintOptions& options) {
  return text::Printer(options).tensor(tensor, " ");
}

}  // namespace espalier
