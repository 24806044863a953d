#include "lib/kernels/matrix.h"
#include "lib/ops/stacks.h"

namespace espalier {
namespace {

constexpr size_t kMostAxes = 6;

/// An operand of a product of stacks: where each axis of the result steps in it.
struct Stack {
  Dims dims, strides;  // of the operand as it is multiplied
  Layout source;       // as it is read: plain
};

void swap_matrix(Dims& v) { std::swap(v[v.size() - 1], v[v.size() - 2]); }

Stack stack_of(const LowerContext& c, size_t i, bool transposed, size_t rank) {
  Stack s;
  s.dims = c.dims(i);
  const auto& perms = c.fusion().perms;
  if (!perms.empty() && !perms[i].empty()) {
    Dims source(s.dims.size());
    for (size_t axis = 0; axis < source.size(); ++axis) source[static_cast<size_t>(perms[i][axis])] = s.dims[axis];
    const Dims own = row_major_strides(source);
    for (const int64_t axis : perms[i]) s.strides.push_back(own[static_cast<size_t>(axis)]);
    s.source = Layout::plain(DataType::float32, source);
  } else {
    s.strides = row_major_strides(s.dims);
    s.source = Layout::plain(DataType::float32, s.dims);
  }
  if (s.dims.size() == 1) {  // a row on the left, a column on the right
    s.dims.insert(i == 0 ? s.dims.begin() : s.dims.end(), 1);
    s.strides.insert(i == 0 ? s.strides.begin() : s.strides.end(), i == 0 ? s.strides[0] * s.dims.back() : 1);
  }
  if (transposed) {
    swap_matrix(s.dims);
    swap_matrix(s.strides);
  }
  const size_t lead = rank - s.dims.size();
  s.strides.insert(s.strides.begin(), lead, element_count(s.dims));
  s.dims.insert(s.dims.begin(), lead, 1);
  return s;
}

/// Neighbouring batch axes that all three operands step through as one become one; sizes of 1 go.
void merge_batch(MatMulProblem& p) {
  if (p.c_strides.empty()) p.c_strides = row_major_strides(p.c);
  const auto drop = [&](size_t i) {
    for (Dims* v : {&p.a, &p.b, &p.c, &p.a_strides, &p.b_strides, &p.c_strides}) v->erase(v->begin() + static_cast<std::ptrdiff_t>(i));
  };
  for (size_t i = p.c.size() - 2; i-- > 0;) {
    if (p.c[i] == 1 && p.c.size() > 2) drop(i);
  }
  for (size_t i = p.c.size() - 2; i-- > 1;) {
    const auto joins = [&](const Dims& dims, const Dims& strides) {
      return dims[i - 1] == 1 ? dims[i] == 1 : dims[i] == p.c[i] && dims[i - 1] == p.c[i - 1] && strides[i - 1] == strides[i] * dims[i];
    };
    if (!joins(p.a, p.a_strides) || !joins(p.b, p.b_strides) || !joins(p.c, p.c_strides)) continue;
    for (auto [dims, strides] : {std::pair{&p.a, &p.a_strides}, std::pair{&p.b, &p.b_strides}, std::pair{&p.c, &p.c_strides}}) {
      (*dims)[i] *= (*dims)[i - 1];
      (void)strides;
    }
    drop(i - 1);
  }
}

}  // namespace

bool lower_stacks(LowerContext& c, bool transpose_a, bool transpose_b) {
  const Dims result = c.output_dims(0);
  const size_t rank = std::max<size_t>(2, std::max(c.dims(0).size(), c.dims(1).size()));
  if (c.type(0) != DataType::float32 || element_count(result) == 0 || element_count(c.dims(0)) == 0 || (rank > kMostAxes && !c.fusion().empty())) return false;
  const Stack a = stack_of(c, 0, transpose_a, rank), b = stack_of(c, 1, transpose_b, rank);
  MatMulProblem p;
  p.a = a.dims, p.b = b.dims;
  p.a_strides = a.strides, p.b_strides = b.strides;
  for (size_t i = 0; i + 2 < rank; ++i) p.c.push_back(std::max(p.a[i], p.b[i]));
  p.c.push_back(p.a[rank - 2]);
  p.c.push_back(p.b[rank - 1]);
  if (c.fusion().bias && p.c != result) return false;
  Layout to = Layout::plain(DataType::float32, result);
  const auto& perm = c.fusion().result_perm;
  if (!perm.empty()) {
    if (p.c != result) return false;
    Dims dims;
    for (const int64_t axis : perm) dims.push_back(result[static_cast<size_t>(axis)]);
    const Dims own = row_major_strides(dims);
    p.c_strides.resize(rank);
    for (size_t axis = 0; axis < rank; ++axis) p.c_strides[static_cast<size_t>(perm[axis])] = own[axis];
    to = Layout::plain(DataType::float32, dims);
  }
  if (c.fusion().bias) {
    p.bias = true;
    p.bias_dims.assign(rank, 1);
    p.bias_dims.back() = p.c.back();
  }
  p.activations = c.fusion().activations;
  if (rank > kMostAxes) merge_batch(p);
  if (p.c.size() > kMostAxes) return false;
  Primitive step = matmul(p);
  if (step.implementation.rfind("ref", 0) == 0 && !c.fusion().empty()) return false;
  std::vector<Operand> args = {c.read(0, a.source), c.read(1, b.source)};
  if (p.bias) args.push_back(c.bias());
  args.push_back(c.write(0, to));
  c.step(std::move(step), args);
  return true;
}

namespace ops {
namespace {

bool is_set(const Node& node, const char* attribute) { return node.get<int64_t>(attribute, 0) != 0; }

/// At least matrices, their last two axes swapped where the node says so.
template <class Shape>
Shape turned(Shape dims, bool transposed) {
  if (transposed) std::swap(dims[dims.size() - 1], dims[dims.size() - 2]);
  return dims;
}

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  for (const size_t i : {0, 1}) c.require_rank(i, 2, kMaxRank);
  if (!c.has_rank(0) || !c.has_rank(1)) return c.set(0, Type::tensor(c.elem_type(0)));
  const auto batch = [&c](const SymbolicDims& a, const SymbolicDims& b) { return broadcast(c, a, b); };
  c.set(0, c.elem_type(0), stacked_dims(turned(c.dims(0), is_set(c.node(), "transA")), turned(c.dims(1), is_set(c.node(), "transB")), batch));
}

template <class T>
Tensor turned_tensor(const Tensor& x, bool transposed) {
  if (!transposed) return x;
  Tensor y(x.type(), turned(x.dims(), true));
  const int64_t rows = x.dims()[x.dims().size() - 2], columns = x.dims().back();
  const auto from = x.data<T>();
  const auto to = y.template mutable_data<T>();
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t at = i % (rows * columns);
    to[i - at + at % columns * rows + at / columns] = from[i];
  }
  return y;
}

void evaluate(EvaluateContext& c) {
  dispatch_number(c.input(0).type(), [&]<class T>() {
    c.set(0, multiply_stacks<T>(turned_tensor<T>(c.input(0), is_set(c.node(), "transA")), turned_tensor<T>(c.input(1), is_set(c.node(), "transB"))));
  });
}

bool lower(LowerContext& c) { return lower_stacks(c, is_set(c.node(), "transA"), is_set(c.node(), "transB")); }

}  // namespace

/// StackedProduct(a, b) {transA, transB}: MatMul of rank 2 and more, the last two axes of an operand swapped first where its
/// attribute is 1.
extern const Op stacked_product;
const Op stacked_product = {
    .name = "StackedProduct",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .absorbs = kAbsorbsTransposes,
};

}  // namespace ops
}  // namespace espalier
