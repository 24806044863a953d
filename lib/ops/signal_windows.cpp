// HannWindow, HammingWindow, BlackmanWindow and MelWeightMatrix: constants of signal processing.

#include <cmath>
#include <numbers>

#include "lib/ops/elementwise.h"

namespace espalier::ops {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 28;

DataType output_type(const InferContext& c) {
  const auto type = static_cast<DataType>(c.node().get<int64_t>("output_datatype", 1));
  if (!is_numeric(type)) c.fail("output_datatype is " + std::to_string(static_cast<int64_t>(type)) + ", expected a numeric type");
  return type;
}

bool is_index(DataType type) { return type == DataType::int32 || type == DataType::int64; }

std::optional<int64_t> number_of(const InferContext& c, size_t i, const char* what) {
  require_type(c, i, is_index, "int32 or int64");
  const auto given = c.integers(i);
  if (!given) return std::nullopt;
  if (given->size() != 1) c.fail(std::string(what) + " has " + std::to_string(given->size()) + " elements, expected one");
  if (given->front() < 0 || given->front() > kMostElements) c.fail(std::string(what) + " is " + std::to_string(given->front()));
  return given->front();
}

int64_t number(const EvaluateContext& c, size_t i) {
  const auto given = c.input(i).to_int64s();
  if (given.size() != 1 || given[0] < 0 || given[0] > kMostElements) c.fail("input " + std::to_string(i) + " is no size");
  return given[0];
}

DataType output_type(const EvaluateContext& c) { return static_cast<DataType>(c.node().get<int64_t>("output_datatype", 1)); }

void infer_window(InferContext& c) {
  c.require_inputs(1, 1);
  const auto size = number_of(c, 0, "size");
  c.set(0, output_type(c), {size ? Dim(*size) : Dim()});
}

/// a0 - a1 cos(2 pi n / m) + a2 cos(4 pi n / m), m the size, or one less where the window is symmetric.
void evaluate_window(EvaluateContext& c, double a0, double a1, double a2) {
  const int64_t size = number(c, 0);
  const bool periodic = c.node().get<int64_t>("periodic", 1) != 0;
  const double turn = 2 * std::numbers::pi / static_cast<double>(std::max<int64_t>(1, periodic ? size : size - 1));
  Tensor window(DataType::float64, {size});
  const auto out = window.mutable_data<double>();
  for (int64_t n = 0; n < size; ++n) {
    const double angle = turn * static_cast<double>(n);
    out[n] = a0 - a1 * std::cos(angle) + a2 * std::cos(2 * angle);
  }
  c.set(0, window.cast(output_type(c)));
}

void evaluate_hann(EvaluateContext& c) { evaluate_window(c, 0.5, 0.5, 0); }
void evaluate_hamming(EvaluateContext& c) { evaluate_window(c, 25.0 / 46, 21.0 / 46, 0); }
void evaluate_blackman(EvaluateContext& c) { evaluate_window(c, 0.42, 0.5, 0.08); }

/// y: [dft_length / 2 + 1, num_mel_bins].
void infer_mel(InferContext& c) {
  c.require_inputs(5, 5);
  const auto bands = number_of(c, 0, "num_mel_bins"), length = number_of(c, 1, "dft_length");
  number_of(c, 2, "sample_rate");
  for (const size_t i : {3, 4}) require_type(c, i, is_float, "a float type");
  c.set(0, output_type(c), {length ? Dim(*length / 2 + 1) : Dim(), bands ? Dim(*bands) : Dim()});
}

/// Triangles between neighbouring edges, which lie at equal distances on the mel scale, mel(f) = 2595 log10(1 + f / 700).
void evaluate_mel(EvaluateContext& c) {
  const int64_t bands = number(c, 0), length = number(c, 1), rate = number(c, 2), bins = length / 2 + 1;
  const double lower = c.input(3).to_doubles().at(0), upper = c.input(4).to_doubles().at(0);
  if (rate < 1) c.fail("sample_rate is " + std::to_string(rate) + ", expected at least 1");
  if (checked_mul(bands, bins) > kMostElements) c.fail("the matrix is too large");
  const auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double step = (mel(upper) - mel(lower)) / static_cast<double>(bands + 2);
  std::vector<int64_t> edges;
  for (int64_t i = 0; i < bands + 2; ++i) {
    const double hertz = 700 * (std::pow(10.0, (static_cast<double>(i) * step + mel(lower)) / 2595) - 1);
    const double edge = std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate));
    if (!(edge >= 0 && edge < static_cast<double>(bins))) c.fail("a band reaches beyond the spectrum");
    edges.push_back(static_cast<int64_t>(edge));
  }
  Tensor matrix(DataType::float64, {bins, bands});
  const auto out = matrix.mutable_data<double>();
  for (int64_t i = 0; i < bands; ++i) {
    const int64_t left = edges[static_cast<size_t>(i)], centre = edges[static_cast<size_t>(i) + 1], right = edges[static_cast<size_t>(i) + 2];
    for (int64_t j = left; j < centre; ++j) out[j * bands + i] = static_cast<double>(j - left) / static_cast<double>(centre - left);
    out[centre * bands + i] = 1;
    for (int64_t j = centre; j < right; ++j) out[j * bands + i] = static_cast<double>(right - j) / static_cast<double>(right - centre);
  }
  c.set(0, matrix.cast(output_type(c)));
}

}  // namespace

extern const Op hann_window;
const Op hann_window = {.name = "HannWindow", .since = 17, .infer = infer_window, .evaluate = evaluate_hann};
extern const Op hamming_window;
const Op hamming_window = {.name = "HammingWindow", .since = 17, .infer = infer_window, .evaluate = evaluate_hamming};
extern const Op blackman_window;
const Op blackman_window = {.name = "BlackmanWindow", .since = 17, .infer = infer_window, .evaluate = evaluate_blackman};
extern const Op mel_weight_matrix;
const Op mel_weight_matrix = {.name = "MelWeightMatrix", .since = 17, .infer = infer_mel, .evaluate = evaluate_mel};

}  // namespace espalier::ops
