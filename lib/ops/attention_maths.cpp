#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/ops/attention.h"
#include "lib/ops/elementwise.h"

namespace espalier {
namespace {

constexpr double kOut = -std::numeric_limits<double>::infinity();

/// Past positions, then the new ones, along axis 2.
Tensor appended(const Tensor& past, const Tensor& now) {
  const Dims& a = past.dims();
  Dims dims = now.dims();
  const int64_t old = a[2], fresh = dims[2], width = dims[3];
  dims[2] = old + fresh;
  Tensor result(DataType::float64, dims);
  const auto from_past = past.data<double>(), from_now = now.data<double>();
  const auto to = result.mutable_data<double>();
  for (int64_t head = 0; head < dims[0] * dims[1]; ++head) {
    double* at = to.data() + head * (old + fresh) * width;
    std::copy_n(from_past.data() + head * old * width, old * width, at);
    std::copy_n(from_now.data() + head * fresh * width, fresh * width, at + old * width);
  }
  return result;
}

/// A mask as numbers that are added: of booleans, 0 or minus infinity.
Tensor additive(const Tensor& mask) {
  Tensor result = mask.cast(DataType::float64);
  if (mask.type() != DataType::boolean) return result;
  for (double& v : result.mutable_data<double>()) v = v != 0 ? 0.0 : kOut;
  return result;
}

}  // namespace

Tensor AttentionMaths::split(const Tensor& x, int64_t heads_of_x) const {
  const Tensor wide = x.cast(DataType::float64);
  if (x.rank() == 4) return wide;
  const int64_t length = x.dims()[1], width = x.dims()[2] / heads_of_x;
  Tensor result(DataType::float64, {x.dims()[0], heads_of_x, length, width});
  const auto from = wide.data<double>();
  const auto to = result.mutable_data<double>();
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t d = i % width, h = i / width % heads_of_x, t = i / width / heads_of_x % length, b = i / width / heads_of_x / length;
    to[((b * heads_of_x + h) * length + t) * width + d] = from[i];
  }
  return result;
}

Tensor AttentionMaths::merged(const Tensor& x) {
  const int64_t h = x.dims()[1], length = x.dims()[2], width = x.dims()[3];
  Tensor result(DataType::float64, {x.dims()[0], length, h * width});
  const auto from = x.data<double>();
  const auto to = result.mutable_data<double>();
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t d = i % width, t = i / width % length, head = i / width / length % h, b = i / width / length / h;
    to[((b * length + t) * h + head) * width + d] = from[i];
  }
  return result;
}

AttentionMaths::AttentionMaths(const EvaluateContext& c) {
  const Node& node = c.node();
  flat_ = c.input(0).rank() == 3;
  q = split(c.input(0), flat_ ? node.require<int64_t>("q_num_heads") : 0);
  k = split(c.input(1), flat_ ? node.require<int64_t>("kv_num_heads") : 0);
  v = split(c.input(2), flat_ ? node.require<int64_t>("kv_num_heads") : 0);
  if (c.has_input(4) && c.has_input(5)) {
    past_ = c.input(4).dims()[2];
    k = appended(c.input(4).cast(DataType::float64), k);
    v = appended(c.input(5).cast(DataType::float64), v);
  }
  batch = q.dims()[0], heads = q.dims()[1], kv_heads = k.dims()[1], queries = q.dims()[2], keys = k.dims()[2];
  head_size = q.dims()[3], value_size = v.dims()[3];
  const bool fits = k.dims()[0] == batch && v.dims()[0] == batch && v.dims()[1] == kv_heads && v.dims()[2] == keys && k.dims()[3] == head_size;
  if (!fits || kv_heads == 0 || heads % kv_heads != 0) {
    c.fail("query, key and value have " + to_string(q.dims()) + ", " + to_string(k.dims()) + " and " + to_string(v.dims()) + " by heads");
  }
  scale = node.has("scale") ? static_cast<double>(node.require<float>("scale")) : 1 / std::sqrt(static_cast<double>(head_size));
  softcap = static_cast<double>(node.get<float>("softcap", 0.0f));
  causal_ = node.get<int64_t>("is_causal", 0) != 0;
  mode_ = node.get<int64_t>("qk_matmul_output_mode", 0);
  if (c.has_input(3)) {
    mask_ = additive(c.input(3));
    Dims dims(static_cast<size_t>(std::max<int64_t>(0, 4 - mask_.rank())), 1);
    dims.insert(dims.end(), mask_.dims().begin(), mask_.dims().end());
    mask_ = mask_.reshaped(dims);
    const Dims full = {batch, heads, queries, keys};
    mask_strides_ = row_major_strides(dims);
    for (size_t axis = 0; axis < 4; ++axis) {
      const bool part = axis == 3 && dims[axis] < full[axis];  // what a short mask lacks is out
      if (dims[axis] != full[axis] && dims[axis] != 1 && !part) c.fail("mask has shape " + to_string(c.input(3).dims()) + ", which does not broadcast to " + to_string(full));
      if (dims[axis] == 1 && full[axis] != 1 && axis < 3) mask_strides_[axis] = 0;
    }
  }
  attend();
}

const double* AttentionMaths::row(const Tensor& x, int64_t b, int64_t h, int64_t i) const {
  const Dims& d = x.dims();
  const int64_t own = d[1] == heads ? h : h / (heads / d[1]);
  return x.data<double>().data() + ((b * d[1] + own) * d[2] + i) * d[3];
}

double AttentionMaths::bias(int64_t b, int64_t h, int64_t i, int64_t j) const {
  if (causal_ && j > past_ + i) return kOut;
  if (!mask_.defined()) return 0;
  const int64_t width = mask_.dims()[3];
  if (width == 1 && keys > 1) j = 0;
  else if (j >= width) return kOut;
  return mask_.data<double>()[b * mask_strides_[0] + h * mask_strides_[1] + i * mask_strides_[2] + j];
}

void AttentionMaths::attend() {
  const Dims dims = {batch, heads, queries, keys};
  scores = Tensor(DataType::float64, dims);
  probabilities = Tensor(DataType::float64, dims);
  capped_ = Tensor(DataType::float64, dims);
  const auto kept = scores.mutable_data<double>(), p = probabilities.mutable_data<double>(), tanhs = capped_.mutable_data<double>();
  parallel_for(batch * heads * queries, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t i = r % queries, h = r / queries % heads, b = r / queries / heads;
      const double* from = row(q, b, h, i);
      double top = kOut, sum = 0;
      for (int64_t j = 0; j < keys; ++j) {
        const double* with = row(k, b, h, j);
        double dot = 0;
        for (int64_t d = 0; d < head_size; ++d) dot += from[d] * with[d];
        dot *= scale;
        const double tanh = softcap > 0 ? std::tanh(dot / softcap) : 0, capped = softcap > 0 ? softcap * tanh : dot;
        tanhs[r * keys + j] = tanh;
        const double biased = capped + bias(b, h, i, j);
        kept[r * keys + j] = mode_ == 0 ? dot : mode_ == 1 ? capped : biased;
        p[r * keys + j] = biased;
        top = std::max(top, biased);
      }
      for (int64_t j = 0; j < keys; ++j) sum += p[r * keys + j] = std::exp(p[r * keys + j] - top);
      for (int64_t j = 0; j < keys; ++j) p[r * keys + j] /= sum;
      if (mode_ == 3) std::copy_n(p.data() + r * keys, keys, kept.data() + r * keys);
    }
  });
}

Tensor AttentionMaths::output() const {
  Tensor y(DataType::float64, {batch, heads, queries, value_size});
  const auto to = y.mutable_data<double>();
  const auto p = probabilities.data<double>();
  parallel_for(batch * heads * queries, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t j = 0; j < keys; ++j) {
        const double* with = row(v, r / queries / heads, r / queries % heads, j);
        for (int64_t d = 0; d < value_size; ++d) to[r * value_size + d] += p[r * keys + j] * with[d];
      }
    }
  });
  return y;
}

/// dV = P^T dY; dS = P (dP - sum(P dP)), dP = dY V^T; through the cap by 1 - tanh^2; dQ = scale dS K, dK = scale dS^T Q.
/// What reaches the shown scores joins where the mode takes them.
AttentionMaths::Gradients AttentionMaths::gradients(const Tensor& dy, const Tensor* dscores) const {
  Gradients g{Tensor(DataType::float64, q.dims()), Tensor(DataType::float64, k.dims()), Tensor(DataType::float64, v.dims()),
              Tensor(DataType::float64, probabilities.dims())};
  const auto dbias = g.bias.mutable_data<double>();
  const auto dq = g.q.mutable_data<double>(), dk = g.k.mutable_data<double>(), dv = g.v.mutable_data<double>();
  const auto p = probabilities.data<double>(), tanhs = capped_.data<double>(), up = dy.data<double>();
  const auto shown = [&](int64_t r, int64_t j) { return dscores ? dscores->data<double>()[r * keys + j] : 0; };
  parallel_for(batch, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> dp(static_cast<size_t>(keys));
    for (int64_t r = begin * heads * queries; r < end * heads * queries; ++r) {
      const int64_t i = r % queries, h = r / queries % heads, b = r / queries / heads;
      double sum = 0;
      for (int64_t j = 0; j < keys; ++j) {
        const int64_t at = row(v, b, h, j) - v.data<double>().data();
        dp[j] = mode_ == 3 ? shown(r, j) : 0;
        for (int64_t d = 0; d < value_size; ++d) {
          dp[j] += up[r * value_size + d] * v.data<double>()[at + d];
          dv[at + d] += up[r * value_size + d] * p[r * keys + j];
        }
        sum += dp[j] * p[r * keys + j];
      }
      const double* from = row(q, b, h, i);
      for (int64_t j = 0; j < keys; ++j) {
        const double tanh = tanhs[r * keys + j], slope = p[r * keys + j] * (dp[j] - sum) + (mode_ == 2 ? shown(r, j) : 0);
        const double capped = slope + (mode_ == 1 ? shown(r, j) : 0);
        const double ds = scale * (capped * (1 - tanh * tanh) + (mode_ == 0 ? shown(r, j) : 0));
        dbias[r * keys + j] = slope;
        const int64_t at = row(k, b, h, j) - k.data<double>().data();
        for (int64_t d = 0; d < head_size; ++d) {
          dq[r * head_size + d] += ds * k.data<double>()[at + d];
          dk[at + d] += ds * from[d];
        }
      }
    }
  });
  return g;
}

Tensor AttentionMaths::mask_gradient(const Tensor& bias) const {
  Tensor result(DataType::float64, mask_.dims());
  const auto from = bias.data<double>();
  const auto to = result.mutable_data<double>();
  const int64_t width = mask_.dims()[3];
  for (int64_t r = 0; r < batch * heads * queries; ++r) {
    const int64_t i = r % queries, h = r / queries % heads, b = r / queries / heads;
    const int64_t at = b * mask_strides_[0] + h * mask_strides_[1] + i * mask_strides_[2];
    for (int64_t j = 0; j < keys; ++j) {
      const bool causally_out = causal_ && j > past_ + i;
      if (causally_out || (j >= width && width != 1)) continue;
      to[at + (width == 1 ? 0 : j)] += from[r * keys + j];
    }
  }
  return result;
}

}  // namespace espalier
