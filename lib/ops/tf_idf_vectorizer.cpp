#include <map>

#include "lib/ops/elementwise.h"

namespace espalier::ops {
namespace {

bool is_word(DataType type) { return type == DataType::string || type == DataType::int32 || type == DataType::int64; }

/// What the attributes say of the n-grams.
struct Vocabulary {
  std::vector<int64_t> starts, indexes;  ///< ngram_counts, ngram_indexes
  int64_t shortest, longest, skips;
  int64_t width = 0;                     ///< coordinates of the output
};

Vocabulary vocabulary(const Node& node) {
  const auto fail = [&](const std::string& message) { throw Error(ErrorKind::bad_data, node.where() + ": " + message); };
  Vocabulary v{node.require<std::vector<int64_t>>("ngram_counts"), node.require<std::vector<int64_t>>("ngram_indexes"),
               node.require<int64_t>("min_gram_length"), node.require<int64_t>("max_gram_length"), node.require<int64_t>("max_skip_count"), 0};
  if (v.shortest < 1 || v.longest < v.shortest) fail("n-grams have lengths from " + std::to_string(v.shortest) + " to " + std::to_string(v.longest));
  if (v.skips < 0) fail("max_skip_count is " + std::to_string(v.skips));
  if (v.indexes.empty()) fail("there are no n-grams");
  for (const int64_t i : v.indexes) {
    if (i < 0 || i > (int64_t{1} << 28)) fail("ngram_indexes has " + std::to_string(i));
    v.width = std::max(v.width, i + 1);
  }
  const std::string mode = node.require<std::string>("mode");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") fail("mode is '" + mode + "', expected TF, IDF or TFIDF");
  if (node.has("weights") && node.require<std::vector<float>>("weights").size() != v.indexes.size()) fail("weights and ngram_indexes differ in length");
  if (node.has("pool_int64s") == node.has("pool_strings")) fail("needs one of pool_int64s and pool_strings");
  return v;
}

/// x: [C] or [N, C] -> [width] or [N, width].
void infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_word, "string, int32 or int64");
  c.require_rank(0, 1, 2);
  const Vocabulary v = vocabulary(c.node());
  if (!c.has_rank(0)) return c.set(0, Type::tensor(DataType::float32));
  SymbolicDims dims = c.dims(0);
  dims.back() = v.width;
  c.set(0, DataType::float32, std::move(dims));
}

/// The n-grams of the pool with their numbers.
template <class T>
std::map<std::vector<T>, size_t> grams_of(const EvaluateContext& c, const std::vector<T>& pool, const Vocabulary& v) {
  std::map<std::vector<T>, size_t> grams;
  size_t number = 0;
  for (size_t k = 0; k < v.starts.size(); ++k) {
    const int64_t begin = v.starts[k], end = k + 1 < v.starts.size() ? v.starts[k + 1] : static_cast<int64_t>(pool.size());
    const auto length = static_cast<int64_t>(k) + 1;
    if (begin < 0 || end < begin || end > static_cast<int64_t>(pool.size()) || (end - begin) % length != 0) c.fail("ngram_counts does not fit the pool");
    for (int64_t at = begin; at < end; at += length) {
      if (number >= v.indexes.size()) c.fail("there are more n-grams than ngram_indexes");
      grams.emplace(std::vector<T>(pool.begin() + at, pool.begin() + at + length), number++);
    }
  }
  return grams;
}

/// Counts of the n-grams of one row, by number; neighbours lie 1 to skips + 1 words apart.
template <class T>
void count(std::span<const T> row, const std::map<std::vector<T>, size_t>& grams, const Vocabulary& v, std::vector<int64_t>& counts) {
  const auto size = static_cast<int64_t>(row.size());
  for (int64_t length = v.shortest; length <= std::min(v.longest, size); ++length) {
    for (int64_t step = 1; step <= (length == 1 ? 1 : v.skips + 1); ++step) {
      if (step > size) break;
      for (int64_t at = 0; at + (length - 1) * step < size; ++at) {
        std::vector<T> gram;
        for (int64_t k = 0; k < length; ++k) gram.push_back(row[static_cast<size_t>(at + k * step)]);
        const auto found = grams.find(gram);
        if (found != grams.end()) ++counts[found->second];
      }
    }
  }
}

template <class T>
Tensor vectorize(const EvaluateContext& c, std::span<const T> words, const std::vector<T>& pool) {
  const Vocabulary v = vocabulary(c.node());
  const auto grams = grams_of(c, pool, v);
  const auto weights = c.node().get("weights", std::vector<float>(v.indexes.size(), 1.0f));
  const std::string mode = c.node().require<std::string>("mode");
  Dims dims = c.input(0).dims();
  const int64_t size = dims.back(), rows = dims.size() == 2 ? dims[0] : 1;
  dims.back() = v.width;
  Tensor y(DataType::float32, dims);
  const auto out = y.mutable_data<float>();
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<int64_t> counts(v.indexes.size(), 0);
    count(words.subspan(static_cast<size_t>(r * size), static_cast<size_t>(size)), grams, v, counts);
    for (size_t i = 0; i < counts.size(); ++i) {
      const auto times = static_cast<float>(mode == "IDF" ? std::min<int64_t>(counts[i], 1) : counts[i]);
      out[r * v.width + v.indexes[i]] += mode == "TF" ? times : times * weights[i];
    }
  }
  return y;
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  if (x.type() == DataType::string) {
    if (!c.node().has("pool_strings")) c.fail("words are strings, but the pool is of integers");
    c.set(0, vectorize<std::string>(c, x.strings(), c.node().require<std::vector<std::string>>("pool_strings")));
    return;
  }
  if (!c.node().has("pool_int64s")) c.fail("words are integers, but the pool is of strings");
  const auto words = x.to_int64s();
  c.set(0, vectorize<int64_t>(c, words, c.node().require<std::vector<int64_t>>("pool_int64s")));
}

}  // namespace

/// Counts of n-grams, as they are (TF), by weight where present (IDF), or times their weight (TFIDF). Source: ONNX TfIdfVectorizer-9.
extern const Op tf_idf_vectorizer;
const Op tf_idf_vectorizer = {.name = "TfIdfVectorizer", .since = 9, .infer = infer, .evaluate = evaluate};

}  // namespace espalier::ops
