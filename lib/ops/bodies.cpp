#include "lib/ops/bodies.h"

#include <algorithm>
#include <cstring>

#include "lib/base/error.h"

namespace espalier {
namespace {

[[noreturn]] void fail_apart(const InferContext& c, const Type& a, const Type& b, const std::string& what) {
  c.fail(what + " is " + a.str() + " here and " + b.str() + " there");
}

std::shared_ptr<const Type> joined_element(const InferContext& c, const Type& a, const Type& b, const std::string& what) {
  if (!a.element || !b.element) return a.element ? a.element : b.element;
  return std::make_shared<const Type>(joined(c, *a.element, *b.element, "an element of " + what));
}

std::string kind_name(Type::Kind kind) {
  return kind == Type::Kind::sequence ? "a sequence" : kind == Type::Kind::optional ? "an optional" : "a tensor";
}

/// Elements before, at and behind an axis.
struct Split {
  int64_t outer = 1, size = 1, inner = 1;
  Split(const Dims& dims, int64_t axis) : size(dims[static_cast<size_t>(axis)]) {
    for (size_t i = 0; i < dims.size(); ++i) {
      if (static_cast<int64_t>(i) < axis) outer *= dims[i];
      if (static_cast<int64_t>(i) > axis) inner *= dims[i];
    }
  }
};

/// Copies runs of `count` elements along an axis: from position `from` of `source` to position `to` of `target`.
void copy_part(const Tensor& source, const Split& s, int64_t from, Tensor& target, const Split& t, int64_t to, int64_t count) {
  if (source.type() == DataType::string) {
    const auto in = source.strings();
    const auto out = target.mutable_strings();
    for (int64_t o = 0; o < s.outer; ++o) {
      std::copy_n(in.begin() + (o * s.size + from) * s.inner, count * s.inner, out.begin() + (o * t.size + to) * t.inner);
    }
    return;
  }
  const auto width = static_cast<int64_t>(bit_width(source.type()) / 8);
  if (width == 0) throw Error(ErrorKind::bad_data, "a tensor of type " + std::string(name(source.type())) + " cannot be cut into parts");
  const std::byte* in = source.bytes().data();
  std::byte* out = target.mutable_bytes().data();
  const int64_t run = count * s.inner * width;
  if (run == 0) return;
  for (int64_t o = 0; o < s.outer; ++o) {
    std::memcpy(out + (o * t.size + to) * t.inner * width, in + (o * s.size + from) * s.inner * width, static_cast<size_t>(run));
  }
}

}  // namespace

Type joined(const InferContext& c, const Type& a, const Type& b, const std::string& what) {
  if (a.kind == Type::Kind::unknown || b.kind == Type::Kind::unknown) return {};
  if (a.kind != b.kind && (a.kind == Type::Kind::optional || b.kind == Type::Kind::optional)) return {};
  const bool other_type = a.elem_type != b.elem_type && a.elem_type != DataType::undefined && b.elem_type != DataType::undefined;
  if (a.kind != b.kind || other_type) fail_apart(c, a, b, what);
  Type result = a;
  if (a.elem_type == DataType::undefined) result.elem_type = b.elem_type;
  result.element = joined_element(c, a, b, what);
  if (!a.has_rank() || !b.has_rank() || a.rank() != b.rank()) {
    result.dims.reset();
    return result;
  }
  for (size_t i = 0; i < a.dims->size(); ++i) {
    if (!((*a.dims)[i] == (*b.dims)[i])) (*result.dims)[i] = Dim();
  }
  return result;
}

Fact joined(const InferContext& c, const Fact& a, const Fact& b, const std::string& what) {
  Fact result{joined(c, a.type, b.type, what), {}, {}};
  if (a.constant && b.constant && *a.constant == *b.constant) result.constant = a.constant;
  if (a.numbers && b.numbers && *a.numbers == *b.numbers) result.numbers = a.numbers;
  return result;
}

Fact only_type(const Fact& fact) { return {fact.type, {}, {}}; }

const Graph& require_body(const InferContext& c, std::string_view attribute, size_t inputs, size_t outputs) {
  const Attribute* found = c.node().find(attribute);
  if (!found || !std::holds_alternative<Body>(found->value)) c.fail("its " + std::string(attribute) + " is missing");
  const Graph& body = *std::get<Body>(found->value);
  const auto require = [&](size_t has, size_t expected, const char* what) {
    if (has == expected) return;
    c.fail("its " + std::string(attribute) + " has " + std::to_string(has) + what + ", expected " + std::to_string(expected));
  };
  require(body.inputs.size(), inputs, " inputs");
  require(body.outputs.size(), outputs, " outputs");
  return body;
}

void require_kind(const InferContext& c, size_t i, Type::Kind kind) {
  const Type& type = c.type(i);
  if (!c.has_input(i) || type.kind == Type::Kind::unknown || type.kind == kind) return;
  c.fail("input " + std::to_string(i) + " is " + type.str() + ", expected " + kind_name(kind));
}

void require_scalar(const InferContext& c, size_t i, DataType type, const std::string& what) {
  if (!c.has_input(i)) return;
  require_kind(c, i, Type::Kind::tensor);
  const bool other = c.elem_type(i) != DataType::undefined && c.elem_type(i) != type;
  const auto dims = c.type(i).known_dims();
  if (other || (dims && element_count(*dims) != 1)) {
    c.fail(what + " is " + c.type(i).str() + ", expected one " + std::string(name(type)));
  }
}

bool truth(const EvaluateContext& c, const HostValue& value, const std::string& what) {
  const bool fits = value.is_tensor() && value.tensor().type() == DataType::boolean && value.tensor().size() == 1;
  if (!fits) c.fail(what + " is " + value.type().str() + ", expected one bool");
  return value.tensor().data<bool>()[0];
}

int64_t whole_number(const EvaluateContext& c, const HostValue& value, const std::string& what) {
  const bool fits = value.is_tensor() && is_integer(value.tensor().type()) && value.tensor().size() == 1;
  if (!fits) c.fail(what + " is " + value.type().str() + ", expected one integer");
  return value.tensor().to_int64s()[0];
}

Tensor scalar_for(const Graph& body, size_t input, Tensor scalar) {
  const Type& declared = body.value(body.inputs[input]).type;
  return declared.has_rank() && declared.rank() == 1 ? scalar.reshaped({1}) : scalar;
}

Tensor part(const Tensor& tensor, int64_t axis, int64_t begin, int64_t count) {
  Dims dims = tensor.dims();
  dims[static_cast<size_t>(axis)] = count;
  Tensor result(tensor.type(), dims);
  copy_part(tensor, Split(tensor.dims(), axis), begin, result, Split(dims, axis), 0, count);
  return result;
}

Tensor picked(const Tensor& tensor, int64_t axis, int64_t index) {
  Dims dims = tensor.dims();
  dims.erase(dims.begin() + axis);
  return part(tensor, axis, index, 1).reshaped(std::move(dims));
}

Tensor concatenated(const std::vector<Tensor>& tensors, int64_t axis) {
  if (tensors.empty()) throw Error(ErrorKind::bad_data, "nothing to concatenate");
  Dims dims = tensors[0].dims();
  int64_t& along = dims[static_cast<size_t>(axis)];
  for (const Tensor& t : tensors) {
    Dims same = t.dims();
    if (same.size() == dims.size()) same[static_cast<size_t>(axis)] = along;
    if (t.type() != tensors[0].type() || same != dims) {
      throw Error(ErrorKind::bad_data, "tensors " + Type::tensor(tensors[0].type(), tensors[0].dims()).str() + " and " +
                                           Type::tensor(t.type(), t.dims()).str() + " cannot be joined along axis " +
                                           std::to_string(axis));
    }
    if (&t != &tensors[0]) along = checked_add(along, t.dims()[static_cast<size_t>(axis)]);
  }
  Tensor result(tensors[0].type(), dims);
  int64_t at = 0;
  for (const Tensor& t : tensors) {
    const Split from(t.dims(), axis);
    copy_part(t, from, 0, result, Split(dims, axis), at, from.size);
    at += from.size;
  }
  return result;
}

Tensor stacked(const std::vector<Tensor>& tensors, int64_t axis) {
  std::vector<Tensor> rows;
  for (const Tensor& t : tensors) {
    Dims dims = t.dims();
    dims.insert(dims.begin() + axis, 1);
    rows.push_back(t.reshaped(std::move(dims)));
  }
  return concatenated(rows, axis);
}

Tensor nothing_stacked(const Type& declared, int64_t axis) {
  Dims dims;
  if (declared.has_rank()) {
    for (const Dim& dim : *declared.dims) dims.push_back(dim.known() ? dim.value() : 0);
  }
  dims.insert(dims.begin() + std::min<int64_t>(axis, static_cast<int64_t>(dims.size())), 0);
  return Tensor(declared.is_tensor() && declared.elem_type != DataType::undefined ? declared.elem_type : DataType::float32, dims);
}

}  // namespace espalier
