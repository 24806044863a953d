#include "lib/train/evaluator.h"

#include <algorithm>
#include <cstring>

#include "lib/autodiff/to_training.h"
#include "lib/base/error.h"

namespace espalier {
namespace {

/// The graph with one output, the scores: float.
Graph with_scores(Graph graph, const std::string& output, bool classes, std::string& name) {
  const ValueId judged = find_output(graph, output);
  const ValueId scores = classes ? find_logits(graph, judged) : judged;
  name = graph.value(scores).name;
  graph.outputs = {scores};
  return graph;
}

std::map<std::string, Dims> sample_dims(const std::vector<InputSlot>& slots, const Batcher& batcher) {
  std::map<std::string, Dims> result;
  for (size_t i = 0; i < slots.size(); ++i) result[slots[i].name] = batcher.sample_dims(i);
  return result;
}

void check_scores(const Dataset& data, const Plan& plan, const std::string& name, int64_t batch) {
  const Dims& dims = plan.output_dims(name);
  const size_t bytes = plan.output(name).size();
  if (static_cast<int64_t>(bytes) != 4 * element_count(dims)) {
    throw Error(ErrorKind::bad_data, "output '" + name + "' is not float, so it cannot be compared with labels");
  }
  if (dims.empty() || dims[0] != batch) {
    throw Error(ErrorKind::bad_data, "output '" + name + "' has shape " + to_string(dims) + ", expected " + std::to_string(batch) + " samples first");
  }
  if (!data.labelled()) return;
  const int64_t given = data.targets.size() / data.targets.dims()[0];
  const int64_t has = element_count(dims) / batch;
  if (data.has_classes()) {
    if (dims.size() < 2 || has / dims[1] != given) {
      throw Error(ErrorKind::bad_data, "output '" + name + "' has shape " + to_string(dims) + ", which does not fit labels of shape " +
                                           to_string(data.targets.dims()));
    }
    check_labels(data, dims[1]);
  } else if (has != given) {
    throw Error(ErrorKind::bad_data, "output '" + name + "' has " + std::to_string(has) + " values a sample, the data have " +
                                         std::to_string(given) + " targets");
  }
}

}  // namespace

Evaluator::Evaluator(const Graph& graph, ParameterStore& store, const Dataset& data, const Preprocessing& preprocessing,
                     const EvaluateOptions& options, bool frozen)
    : data_(data),
      options_(options),
      batcher_(data, input_slots(graph), preprocessing, {.batch_size = std::min(options.batch_size, data.size()), .seed = options.seed, .augmentation = options.augmentation}) {
  CompileOptions compile;
  compile.frozen = frozen;
  Graph scoring = with_scores(graph, options.output, !data.labelled() || data.has_classes(), score_);
  plans_.emplace(std::move(scoring), store, sample_dims(input_slots(graph), batcher_), compile);
  Plan& first = plans_->plan(batcher_.batch_size(0));
  if (!first.is_static()) {  // its sizes are known when it has run
    fill(first, 0);
    first.run();
  }
  check_scores(data_, first, score_, batcher_.batch_size(0));
  plans_->plan(batcher_.batch_size(batcher_.batches() - 1));
}

void Evaluator::fill(Plan& plan, int64_t batch) {
  const std::vector<InputSlot> slots = input_slots(plans_->graph());
  for (size_t i = 0; i < slots.size(); ++i) batcher_.fill(batch, i, plan.input(slots[i].name));
}

void Evaluator::for_each_batch(const std::function<void(std::span<const float>, const Dims&, int64_t, int64_t)>& body) {
  for (int64_t b = 0, done = 0; b < batcher_.batches(); ++b) {
    if (options_.stop && options_.stop()) throw Error(ErrorKind::interrupted, "evaluation was interrupted");
    Plan& plan = plans_->plan(batcher_.batch_size(b));
    fill(plan, b);
    plan.run();
    body(plan.output_as<float>(score_), plan.output_dims(score_), b, done);
    done += batcher_.batch_size(b);
    if (options_.progress) options_.progress(done, batcher_.samples());
  }
}

Metrics Evaluator::run(const Tensor* teacher) {
  MetricSum sum;
  std::vector<int64_t> labels;
  std::vector<float> targets;
  const size_t width = data_.labelled() ? static_cast<size_t>(data_.targets.size() / data_.targets.dims()[0]) : 0;
  for_each_batch([&](std::span<const float> scores, const Dims& dims, int64_t batch, int64_t first) {
    const size_t count = static_cast<size_t>(dims[0]) * width;
    if (data_.labelled() && data_.has_classes()) {
      labels.resize(count);
      batcher_.fill_targets(batch, std::span(labels));
      sum.add_labels(scores, dims, labels);
    } else if (data_.labelled()) {
      targets.resize(count);
      batcher_.fill_targets(batch, std::span(targets));
      sum.add_values(scores, dims[0], targets);
    }
    if (teacher && (!data_.labelled() || data_.has_classes()) && dims.size() >= 2) {
      const int64_t each = element_count(dims) / dims[0];
      check(teacher->size() == each * batcher_.samples(), "the teacher's scores are of the same data");
      sum.add_teacher(scores, dims, teacher->data<float>().subspan(static_cast<size_t>(first * each), scores.size()));
    }
  });
  Metrics metrics = sum.mean();
  metrics.samples = batcher_.samples();
  return metrics;
}

Tensor Evaluator::scores() {
  Tensor all;
  for_each_batch([&](std::span<const float> scores, const Dims& dims, int64_t, int64_t first) {
    if (!all.defined()) {
      Dims total = dims;
      total[0] = batcher_.samples();
      all = Tensor(DataType::float32, total);
    }
    const auto each = static_cast<size_t>(element_count(dims) / dims[0]);
    std::copy(scores.begin(), scores.end(), all.mutable_data<float>().begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(first) * each));
  });
  return all;
}

Metrics evaluate(const Graph& model, const Dataset& data, const Preprocessing& preprocessing, const EvaluateOptions& options) {
  if (options.batch_size < 1) {
    throw Error(ErrorKind::usage, "batch size is " + std::to_string(options.batch_size) + ", expected at least 1");
  }
  if (!data.labelled()) throw Error(ErrorKind::bad_data, "data '" + data.name + "' have no labels to compare with").hint("FILE:y=NAME says which array they are");
  input_slots(model);  // says what is wrong with the inputs before the batch is changed
  ParameterStore store;
  return Evaluator(at_any_batch(model, std::min(options.batch_size, data.size())), store, data, preprocessing, options, true).run();
}

}  // namespace espalier
