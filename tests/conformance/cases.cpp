#include "tests/conformance/cases.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <sstream>

#include "lib/onnx_io/load.h"
#include "lib/onnx_io/load_value.h"
#include "lib/ops/narrow_types.h"

namespace espalier::testing {
namespace {

namespace fs = std::filesystem;

/// Mends what ONNX 1.12 wrote otherwise than its models declare: bfloat16 as uint16 bits, and one element for CastLike's
/// second input, of which only the type counts.
Tensor as_declared(const Tensor& tensor, const Type& declared) {
  const auto owner = std::make_shared<Tensor>(tensor);
  const bool bits = declared.elem_type == DataType::bfloat16 && tensor.type() == DataType::uint16;
  const Tensor typed = bits ? Tensor(DataType::bfloat16, tensor.dims(), owner->bytes(), owner) : tensor;
  const auto dims = declared.known_dims();
  return dims && tensor.size() == 1 && element_count(*dims) > 1 ? Tensor(typed.type(), *dims) : typed;
}

fs::path numbered(const fs::path& set, const char* kind, size_t i) {
  return set / (std::string(kind) + "_" + std::to_string(i) + ".pb");
}

HostValue read_value(const fs::path& file, const Type& declared) {
  const HostValue value = load_value(file, declared);
  return value.is_tensor() ? HostValue(as_declared(value.tensor(), declared)) : value;
}

/// Feeds in the order of the graph's inputs; initialised ones have no file where the case gives none.
Values read_feeds(const Graph& graph, const fs::path& set) {
  Values feeds;
  for (size_t i = 0; i < graph.inputs.size() && exists(numbered(set, "input", i)); ++i) {
    const Value& value = graph.value(graph.inputs[i]);
    feeds[value.name] = read_value(numbered(set, "input", i), value.type);
  }
  return feeds;
}

std::string check_outputs(const Graph& graph, const fs::path& set, const Values& made) {
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const Value& value = graph.value(graph.outputs[i]);
    const std::string& name = value.name;
    const auto found = made.find(name);
    if (found == made.end()) return "output '" + name + "' was not made";
    const std::string text = difference(found->second, read_value(numbered(set, "output", i), value.type));
    if (!text.empty()) return "output '" + name + "': " + text;
  }
  return "";
}

std::string shape_text(const Tensor& tensor) { return Type::tensor(tensor.type(), tensor.dims()).str(); }

bool close(double actual, double expected) {
  if (std::isnan(expected) || std::isnan(actual)) return std::isnan(expected) && std::isnan(actual);
  if (std::isinf(expected) || std::isinf(actual)) return expected == actual;
  return std::abs(actual - expected) <= 1e-7 + 1e-3 * std::abs(expected);
}

/// Equal bfloat16 numbers, or neighbours.
bool adjacent(const Tensor& a, const Tensor& b) {
  const auto x = a.data<bfloat16>(), y = b.data<bfloat16>();
  return std::equal(x.begin(), x.end(), y.begin(), [](bfloat16 p, bfloat16 q) { return std::abs(p.bits - q.bits) <= 1; });
}

}  // namespace

std::vector<Case> find_cases(const fs::path& data) {
  std::vector<Case> cases;
  for (const auto& suite : fs::directory_iterator(data)) {
    if (!suite.is_directory()) continue;
    for (const auto& folder : fs::directory_iterator(suite)) {
      if (!exists(folder.path() / "model.onnx") || !exists(folder.path() / "test_data_set_0")) continue;
      cases.push_back({suite.path().filename().string(), folder.path().filename().string(), folder.path()});
    }
  }
  std::sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) {
    return std::pair(a.suite, a.name) < std::pair(b.suite, b.name);
  });
  return cases;
}

std::string run_case(const Case& which, const Model& model, const Runner& runner) {
  try {
    for (size_t i = 0; exists(which.folder / ("test_data_set_" + std::to_string(i))); ++i) {
      const fs::path set = which.folder / ("test_data_set_" + std::to_string(i));
      const auto made = runner(model, read_feeds(model.graph, set));
      const std::string text = check_outputs(model.graph, set, made);
      if (!text.empty()) return text;
    }
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

std::string difference(const Tensor& actual, const Tensor& expected) {
  if (actual.type() != expected.type() || actual.dims() != expected.dims()) {
    return "is " + shape_text(actual) + ", expected " + shape_text(expected);
  }
  if (is_narrow(expected.type())) return difference(widen(actual), widen(expected));  // NaN has many codes
  if (expected.type() == DataType::bfloat16) return adjacent(actual, expected) ? "" : "differs";
  if (!is_float(expected.type())) return actual == expected ? "" : "differs";
  const auto a = actual.to_doubles(), b = expected.to_doubles();
  for (size_t i = 0; i < a.size(); ++i) {
    if (close(a[i], b[i])) continue;
    std::ostringstream text;
    text << "element " << i << " of " << shape_text(expected) << " is " << a[i] << ", expected " << b[i];
    return text.str();
  }
  return "";
}

std::string difference(const HostValue& actual, const HostValue& expected) {
  if (actual.is_tensor() && expected.is_tensor()) return difference(actual.tensor(), expected.tensor());
  if (actual.is_sequence() && expected.is_sequence() && actual.elements().size() == expected.elements().size()) {
    for (size_t i = 0; i < actual.elements().size(); ++i) {
      const std::string text = difference(actual.elements()[i], expected.elements()[i]);
      if (!text.empty()) return "element " + std::to_string(i) + " of the sequence " + text;
    }
    return "";
  }
  if (actual.is_optional() && expected.is_optional() && actual.has_element() == expected.has_element()) {
    return actual.has_element() ? difference(actual.element(), expected.element()) : "";
  }
  return "is another value: " + actual.type().str() + ", expected " + expected.type().str();
}

std::map<std::string, std::string> read_denied(const fs::path& file) {
  std::map<std::string, std::string> denied;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.find(' ');
    denied[line.substr(0, space)] = space == std::string::npos ? "" : line.substr(line.find_first_not_of(' ', space));
  }
  return denied;
}

}  // namespace espalier::testing
