#include "lib/graph/text_tensor.h"

#include <cmath>
#include <functional>

#include "lib/base/error.h"
#include "lib/base/error.h"
#include "lib/base/random.h"
#include "lib/tensor/dispatch.h"

namespace espalier::text {
namespace {

constexpr int kMaxTypeDepth = 32;
constexpr int64_t kMaxGeneratedBytes = int64_t{1} << 31;

std::optional<DataType> element_type(std::string_view word) {
  for (int i = 1; i <= static_cast<int>(DataType::float4e2m1); ++i) {
    const auto type = static_cast<DataType>(i);
    if (name(type) == word) return type;
  }
  return std::nullopt;
}

DataType parse_element_type(Scanner& in) {
  const size_t at = in.position();
  const std::string word = in.name();
  const auto type = word == "undefined" ? DataType::undefined : element_type(word).value_or(DataType::undefined);
  if (type == DataType::undefined && word != "undefined") in.fail_at(at, "unknown element type '" + word + "'");
  return type;
}

Dim parse_factor(Scanner& in) {
  const size_t at = in.position();
  if (in.looking_at_quote()) return Dim::symbol(in.string());
  const std::string word = in.name();
  if (word.find_first_not_of("0123456789") != word.npos) return Dim::symbol(word);
  in.seek(at);
  return in.integer();
}

Dim parse_term(Scanner& in) {
  Dim term = parse_factor(in);
  while (in.accept("*")) term = term * parse_factor(in);
  return term;
}

Dim parse_dim(Scanner& in) {
  if (in.accept("?")) return {};
  Dim sum = in.accept("-") ? Dim(0) - parse_term(in) : parse_term(in);
  while (true) {
    if (in.accept("+")) sum = sum + parse_term(in);
    else if (in.accept("-")) sum = sum - parse_term(in);
    else return sum;
  }
}

std::optional<SymbolicDims> parse_dims(Scanner& in) {
  in.expect("[");
  if (in.accept("...")) {
    in.expect("]");
    return std::nullopt;
  }
  SymbolicDims dims;
  if (in.accept("]")) return dims;
  do {
    dims.push_back(parse_dim(in));
  } while (in.accept(","));
  in.expect("]");
  return dims;
}

bool is_type_keyword(std::string_view word) {
  return word == "sequence" || word == "optional" || word == "map";
}

template <class T>
T parse_number(Scanner& in) {
  if constexpr (std::is_same_v<T, bool>) {
    if (in.accept_word("true")) return true;
    if (in.accept_word("false")) return false;
    const int64_t value = in.integer();
    if (value != 0 && value != 1) in.fail("expected true, false, 0 or 1");
    return value == 1;
  } else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) {
    return T(in.to<float>(in.number()));
  } else {
    return in.to<T>(in.number());
  }
}

template <class T>
Tensor parse_braced(Scanner& in, const Dims& dims, const std::function<T()>& element) {
  const size_t at = in.position();
  std::vector<T> values;
  if (in.accept("{")) {
    if (!in.accept("}")) {
      do {
        values.push_back(element());
      } while (in.accept(","));
      in.expect("}");
    }
  } else {
    values.push_back(element());
  }
  if (static_cast<int64_t>(values.size()) != element_count(dims)) {
    in.fail_at(at, std::to_string(values.size()) + " elements for shape " + to_string(dims));
  }
  if constexpr (std::is_same_v<T, std::string>) return Tensor::of_strings(dims, std::move(values));
  else return Tensor::of<T>(dims, values);
}

Tensor parse_hex(Scanner& in, DataType type, const Dims& dims) {
  const std::string_view digits = in.hex_digits();
  in.expect(")");
  if (static_cast<int64_t>(digits.size()) != 2 * byte_count(type, dims)) {
    in.fail(std::to_string(digits.size()) + " hexadecimal digits, expected " + std::to_string(2 * byte_count(type, dims)));
  }
  Tensor result(type, dims);
  const auto out = result.mutable_bytes();
  for (size_t i = 0; i < out.size(); ++i) {
    int byte = 0;
    std::from_chars(digits.data() + 2 * i, digits.data() + 2 * i + 2, byte, 16);
    out[i] = static_cast<std::byte>(byte);
  }
  return result;
}

Tensor generate(Scanner& in, DataType type, const Dims& dims, const std::function<double(int64_t)>& element) {
  if (byte_count(type, dims) > kMaxGeneratedBytes) in.fail("tensor " + to_string(dims) + " is too big for the text form");
  Tensor result(type, dims);
  dispatch_numeric(type, [&]<class T>() {
    const auto out = result.mutable_data<T>();
    for (int64_t i = 0; i < result.size(); ++i) out[i] = convert<T>(element(i));
  });
  return result;
}

double parse_double(Scanner& in) { return in.to<double>(in.number()); }

// He et al. 2015: normal with variance 2 / fan_in.
Tensor parse_fill(Scanner& in, DataType type, const Dims& dims) {
  in.expect("(");
  const Random random(in.to<uint64_t>(in.number()), RandomUse::weights);
  double fan_in = 1;
  for (size_t i = 1; i < dims.size(); ++i) fan_in *= static_cast<double>(dims[i]);
  if (in.accept(",")) fan_in = parse_double(in);
  in.expect(")");
  if (!(fan_in > 0)) fan_in = 1;
  const double deviation = std::sqrt(2.0 / fan_in);
  return generate(in, type, dims, [&](int64_t i) { return deviation * random.normal(static_cast<uint64_t>(i)); });
}

Tensor parse_uniform(Scanner& in, DataType type, const Dims& dims) {
  in.expect("(");
  const Random random(in.to<uint64_t>(in.number()), RandomUse::weights);
  in.expect(",");
  const double low = parse_double(in);
  in.expect(",");
  const double high = parse_double(in);
  in.expect(")");
  return generate(in, type, dims,
                  [&](int64_t i) { return low + (high - low) * random.uniform(static_cast<uint64_t>(i)); });
}

std::optional<Tensor> parse_generator(Scanner& in, DataType type, const Dims& dims) {
  if (in.accept_word("zeros")) return generate(in, type, dims, [](int64_t) { return 0.0; });
  if (in.accept_word("ones")) return generate(in, type, dims, [](int64_t) { return 1.0; });
  if (in.accept_word("iota")) return generate(in, type, dims, [](int64_t i) { return static_cast<double>(i); });
  if (in.accept_word("fill")) return parse_fill(in, type, dims);
  if (in.accept_word("uniform")) return parse_uniform(in, type, dims);
  if (in.accept_word("constant")) {
    in.expect("(");
    const double value = parse_double(in);
    in.expect(")");
    return generate(in, type, dims, [value](int64_t) { return value; });
  }
  return std::nullopt;
}

bool is_plain_number(DataType type) { return is_float(type) || is_integer(type) || type == DataType::boolean; }

Tensor parse_known(Scanner& in, DataType type, const Dims& dims) {
  if (in.accept_word("elided")) in.fail("the elements were left out when this was printed");
  if (in.accept_word("hex")) {
    in.expect("(");
    return parse_hex(in, type, dims);
  }
  if (type == DataType::string) return parse_braced<std::string>(in, dims, [&in] { return in.string(); });
  if (!is_plain_number(type)) in.fail("expected hex(...) for elements of type " + std::string(name(type)));
  if (auto generated = parse_generator(in, type, dims)) return *generated;
  return dispatch_numeric(type, [&]<class T>() { return parse_braced<T>(in, dims, [&in] { return parse_number<T>(in); }); });
}

}  // namespace

bool looking_at_type(Scanner& in) {
  const size_t start = in.position();
  bool found = in.looking_at("?");
  if (!found && !in.at_end() && is_name_char(in.peek())) {
    const std::string word = in.name();
    if (word == "sparse") found = !in.at_end() && is_name_char(in.peek()) && element_type(in.name()) && in.looking_at("[");
    else found = is_type_keyword(word) ? in.looking_at("(") : in.looking_at("[");
  }
  in.seek(start);
  return found;
}

Type parse_type(Scanner& in, int depth) {
  if (depth > kMaxTypeDepth) in.fail("type is nested too deep");
  Type type;
  if (in.accept("?")) return type;
  const size_t at = in.position();
  const std::string word = in.name();
  if (is_type_keyword(word) && in.accept("(")) {
    type.kind = word == "sequence" ? Type::Kind::sequence : word == "optional" ? Type::Kind::optional : Type::Kind::map;
    if (word == "map") {
      type.elem_type = parse_element_type(in);
      in.expect(",");
    }
    type.element = std::make_shared<const Type>(parse_type(in, depth + 1));
    in.expect(")");
    return type;
  }
  type.kind = word == "sparse" ? Type::Kind::sparse_tensor : Type::Kind::tensor;
  if (word != "sparse") in.seek(at);
  type.elem_type = parse_element_type(in);
  type.dims = parse_dims(in);
  return type;
}

Tensor parse_elements(Scanner& in, const Type& type) {
  const size_t at = in.position();
  const auto dims = type.known_dims();
  if (!type.is_tensor() || !dims) in.fail("a constant needs a tensor type of known sizes");
  try {
    byte_count(type.elem_type, *dims);
    return parse_known(in, type.elem_type, *dims);
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with("line ")) throw;
    in.fail_at(at, error.what());
  }
}

}  // namespace espalier::text
