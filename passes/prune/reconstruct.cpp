#include "passes/prune/reconstruct.h"

#include <algorithm>
#include <optional>

#include "lib/analysis/budget.h"
#include "lib/base/random.h"
#include "lib/train/batch_graph.h"
#include "passes/prune/least_squares.h"
#include "passes/prune/linear_rows.h"

namespace espalier {
namespace {

constexpr int64_t kBatch = 64;
constexpr int64_t kMostSamples = 16384;
constexpr int64_t kSamplesOfPlanes = 4096;         // where a sample gives many rows
constexpr int64_t kLeastRows = 4096;               // where the data have as many
constexpr int64_t kRowsAnInput = 16;
constexpr int64_t kMostNumbers = int64_t{1} << 24;    // of one regression: 128 MB
constexpr int64_t kMostProducts = int64_t{16} << 30;  // multiply-accumulates of one Gram matrix
constexpr int64_t kMostMacs = int64_t{64} << 30;      // of the runs for one weight

/// A constant, one number a channel, that shifts a node's output: to shift it by d, `scale` times d is added.
struct Shift {
  ValueId value = kNone;
  double scale = 1;
};

/// What a node is that can be written.
struct Target {
  NodeId node = kNone;
  ValueId x = kNone, weight = kNone, y = kNone;  // of the cut graph
  std::vector<int64_t> channels;                 // the original's channels that are left, in order
  int64_t whole_channels = 0;
  double scale = 1;  // the node multiplies by it, too
  std::optional<Shift> shift;
};

/// The reason why a weight is not written, as an exception within this file.
struct Skip {
  std::string reason;
};

class Reconstruction {
 public:
  Reconstruction(const UnitTable& table, const std::vector<bool>& keep, CutGraph& cut, const Dataset& data,
                 const Preprocessing& preprocessing, const ReconstructOptions& options)
      : table_(table),
        keep_(keep),
        cut_(cut),
        options_(options),
        batcher_(data, input_slots(cut.graph), preprocessing,
                 {.batch_size = std::min(kBatch, data.size()), .shuffle = true, .seed = options.seed, .augmentation = options.augmentation}) {}

  Reconstructed run() {
    const std::vector<const Sink*> sinks = lossy_sinks();
    result_.sinks = static_cast<int64_t>(sinks.size());
    if (sinks.empty()) return result_;
    try {
      original_ = at_any_batch(*table_.given, batch());
      present_ = at_any_batch(cut_.graph, batch());
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::bad_data) throw;
      result_.skipped["the batch is fixed"] = result_.sinks;
      return result_;
    }
    macs_ = std::max<int64_t>(1, cost_at(table_, *table_.given).macs + cost_at(table_, cut_.graph).macs);
    for (const Sink* sink : sinks) {
      try {
        write(target_of(*sink));
      } catch (const Skip& skip) {
        ++result_.skipped[skip.reason];
      } catch (const Error& e) {
        if (e.kind() != ErrorKind::bad_data) throw;
        ++result_.skipped["it cannot be run"];
      }
    }
    if (result_.written > 0) {
      result_.error_before /= static_cast<double>(result_.written);
      result_.error_after /= static_cast<double>(result_.written);
    }
    return result_;
  }

 private:
  int64_t batch() const { return batcher_.batch_size(0); }

  std::vector<const Sink*> lossy_sinks() const {
    std::vector<const Sink*> result;
    for (const Sink& sink : table_.sinks) {
      const IndexArray roots = table_.units.find(sink.units.ids);
      const bool whole = std::all_of(roots.values().begin(), roots.values().end(), [&](int32_t id) { return keep_[static_cast<size_t>(id)]; });
      if (sink.weight && !whole) result.push_back(&sink);
    }
    return result;
  }

  Target target_of(const Sink& sink) const {
    const Graph& g = cut_.graph;
    if (!g.contains(sink.node)) throw Skip{"its node became another"};
    const Node& node = g.node(sink.node);
    const bool conv = node.op_type == "Conv", gemm = node.op_type == "Gemm", matmul = node.op_type == "MatMul";
    if (!conv && !gemm && !matmul) throw Skip{"it is read by " + node.op_type};
    if (sink.input != 1 || node.domain != "") throw Skip{"the weight is no second operand"};
    Target t{sink.node, node.inputs[0], node.inputs[1], node.outputs[0], {}, 0, 1, std::nullopt};
    const Tensor* weight = g.initializer(t.weight);
    if (!weight || weight->type() != DataType::float32) throw Skip{"the weight is no float initialiser"};
    if (!alone(t.weight, sink.node)) throw Skip{"the weight is shared"};
    if (!conv && weight->rank() != 2) throw Skip{"the weight is no matrix"};
    if (gemm) t.scale = static_cast<double>(node.get<float>("alpha", 1.0f));
    if (t.scale == 0) throw Skip{"alpha is 0"};
    channels_of(t, conv ? 1 : static_cast<int>(dims_of(t.y).size()) - 1);
    t.shift = shift_of(t, node);
    return t;
  }

  /// Sizes of a value of the original.
  const Dims& dims_of(ValueId v) const {
    const auto& dims = table_.facts[static_cast<size_t>(v)].dims;
    if (!dims) throw Skip{"its sizes depend on data"};
    return *dims;
  }

  /// Read by one node only, once.
  bool alone(ValueId v, NodeId reader) const {
    const Graph& g = cut_.graph;
    const auto& inputs = g.node(reader).inputs;
    return g.users(v).size() == 1 && !g.is_output(v) && std::count(inputs.begin(), inputs.end(), v) == 1;
  }

  void channels_of(Target& t, int axis) const {
    const ValueId whole = table_.graph->node(t.node).outputs[0];
    if (whole != t.y) throw Skip{"its output is reordered"};
    t.whole_channels = dims_of(whole)[static_cast<size_t>(axis)];
    t.channels = whole_order(t.whole_channels);
    for (const Bundle& k : cut_.kept[static_cast<size_t>(whole)]) {
      if (k.ragged != axis || k.axes.size() != 1) throw Skip{"another axis of its output lost something, too"};
      t.channels = to_order(k.ids);
    }
  }

  bool is_float(ValueId v) const {
    const Tensor* tensor = v == kNone ? nullptr : cut_.graph.initializer(v);
    return tensor && tensor->type() == DataType::float32;
  }

  std::optional<Shift> shift_of(const Target& t, const Node& node) const {
    const Graph& g = cut_.graph;
    const auto channels = static_cast<int64_t>(t.channels.size());
    const auto fits = [&](ValueId v, NodeId reader) { return is_float(v) && alone(v, reader) && g.initializer(v)->size() == channels; };
    if (node.op_type != "MatMul" && node.has_input(2)) {
      const ValueId bias = node.inputs[2];
      const double beta = node.op_type == "Gemm" ? static_cast<double>(node.get<float>("beta", 1.0f)) : 1;
      if (beta == 0 || !fits(bias, t.node) || g.initializer(bias)->dims().back() != channels) return std::nullopt;
      return Shift{bias, 1 / beta};
    }
    if (g.users(t.y).size() != 1 || g.is_output(t.y)) return std::nullopt;
    const NodeId next = g.users(t.y)[0];
    const Node& reader = g.node(next);
    if (reader.domain != "") return std::nullopt;
    if (reader.op_type == "BatchNormalization" && reader.inputs[0] == t.y && reader.has_input(3) && fits(reader.inputs[3], next)) {
      return Shift{reader.inputs[3], -1};
    }
    if (reader.op_type != "Add" || reader.has("axis") || reader.has("broadcast")) return std::nullopt;
    const ValueId other = reader.inputs[reader.inputs[0] == t.y ? 1 : 0];
    if (!fits(other, next)) return std::nullopt;
    // All of it along the channels, counted from the last axis.
    const Dims& dims = g.initializer(other)->dims();
    const int64_t behind = node.op_type == "Conv" ? static_cast<int64_t>(dims_of(t.y).size()) - 2 : 0;
    const int64_t at = static_cast<int64_t>(dims.size()) - 1 - behind;
    if (at < 0 || dims[static_cast<size_t>(at)] != channels) return std::nullopt;
    return Shift{other, 1};
  }

  void write(const Target& t) {
    const Graph& g = cut_.graph;
    Probe whole(original_, {table_.graph->value(t.y).name}, batch(), batcher_);
    const std::string x_name = g.value(t.x).name, y_name = g.value(t.y).name;
    Probe present(present_, {x_name, y_name}, batch(), batcher_);
    const Tensor& weight = *g.initializer(t.weight);
    const LinearRows rows(g.node(t.node), present.dims(x_name), weight.dims(), present.dims(y_name));
    std::vector<Regression> problems = collect(t, rows, whole, present);
    Tensor written = weight, shift = t.shift ? *g.initializer(t.shift->value) : Tensor();
    bool any = false;
    double before = 0, after = 0;
    for (int64_t group = 0; group < rows.groups(); ++group) {
      const double missed = squares(problems[static_cast<size_t>(group)]);
      const auto fit = least_squares(std::move(problems[static_cast<size_t>(group)]));
      before += missed, after += fit ? fit->after : missed;
      if (!fit) continue;
      any = true;
      const auto out = written.mutable_data<float>();
      for (int64_t i = 0; i < rows.inputs(); ++i) {
        for (int64_t o = 0; o < rows.outputs(); ++o) {
          float& w = out[static_cast<size_t>(rows.weight_at(group, i, o))];
          w = static_cast<float>(static_cast<double>(w) + fit->weights[static_cast<size_t>(i * rows.outputs() + o)] / t.scale);
        }
      }
      for (size_t o = 0; t.shift && o < fit->intercept.size(); ++o) {
        float& b = shift.mutable_data<float>()[static_cast<size_t>(group * rows.outputs()) + o];
        b = static_cast<float>(static_cast<double>(b) + fit->intercept[o] * t.shift->scale);
      }
    }
    if (!any) throw Skip{"nothing is gained"};
    replace(t.weight, std::move(written));
    if (t.shift) replace(t.shift->value, std::move(shift));
    ++result_.written;
    result_.error_before += before / variance_;
    result_.error_after += after / variance_;
  }

  /// A plan for inner values, fed with batches.
  class Probe {
   public:
    Probe(const Graph& graph, const std::vector<std::string>& values, int64_t batch, const Batcher& batcher) : slots_(input_slots(graph)) {
      Graph part = graph;
      part.outputs.clear();
      for (const std::string& name : values) {
        const ValueId v = part.find_value(name);
        check(v != kNone, "the rebatched graph has the same values: " + name);
        part.outputs.push_back(v);
      }
      std::map<std::string, Dims> dims;
      for (size_t i = 0; i < slots_.size(); ++i) dims[slots_[i].name] = batcher.sample_dims(i);
      CompileOptions options;
      options.frozen = true;
      plans_.emplace(std::move(part), store_, std::move(dims), options);
      plan_ = &plans_->plan(batch);
    }
    void run(const Batcher& batcher, int64_t number) {
      for (size_t i = 0; i < slots_.size(); ++i) batcher.fill(number, i, plan_->input(slots_[i].name));
      plan_->run();
    }
    std::span<const float> value(const std::string& name) const { return plan_->output_as<float>(name); }
    const Dims& dims(const std::string& name) const { return plan_->output_dims(name); }

   private:
    std::vector<InputSlot> slots_;
    ParameterStore store_;
    std::optional<BatchPlans> plans_;
    Plan* plan_ = nullptr;
  };

  /// Rows of each group, from as many samples as are worth it; sets the variance of the original's output.
  std::vector<Regression> collect(const Target& t, const LinearRows& rows, Probe& whole, Probe& present) {
    const std::string x_name = cut_.graph.value(t.x).name, y_name = cut_.graph.value(t.y).name;
    const int64_t batches = batches_for(rows), each = std::min(rows.positions(), wanted_rows(rows) / batches);
    std::vector<Regression> problems(static_cast<size_t>(rows.groups()));
    for (Regression& p : problems) {
      p = {batches * each, rows.inputs(), rows.outputs(), {}, {}, t.shift.has_value()};
      p.x.resize(static_cast<size_t>(p.rows * p.inputs));
      p.r.resize(static_cast<size_t>(p.rows * p.outputs));
    }
    const Random random(options_.seed, RandomUse::shuffle, 16);
    double sum = 0, squares = 0;
    for (int64_t b = 0, row = 0; b < batches; ++b) {
      if (options_.stop && options_.stop()) throw Error(ErrorKind::interrupted, "stopped while weights were reconstructed");
      whole.run(batcher_, b), present.run(batcher_, b);
      const auto x = present.value(x_name), y = present.value(y_name), wanted = whole.value(y_name);
      for (int64_t i = 0; i < each; ++i, ++row) {
        // One position out of each of `each` equal stretches.
        const int64_t first = i * rows.positions() / each, end = (i + 1) * rows.positions() / each;
        const int64_t position = first + static_cast<int64_t>(random.below(static_cast<uint64_t>(row), static_cast<uint64_t>(end - first)));
        for (int64_t g = 0; g < rows.groups(); ++g) {
          Regression& p = problems[static_cast<size_t>(g)];
          rows.read(x, position, g, std::span(p.x).subspan(static_cast<size_t>(row * p.inputs), static_cast<size_t>(p.inputs)));
          for (int64_t o = 0; o < p.outputs; ++o) {
            const int64_t channel = g * p.outputs + o, from = t.channels[static_cast<size_t>(channel)];
            const auto target = static_cast<double>(wanted[static_cast<size_t>(rows.output_at(position, from, t.whole_channels))]);
            const auto is = static_cast<double>(y[static_cast<size_t>(rows.output_at(position, channel, static_cast<int64_t>(t.channels.size())))]);
            p.r[static_cast<size_t>(row * p.outputs + o)] = target - is;
            sum += target, squares += target * target;
          }
        }
      }
    }
    const auto count = static_cast<double>(batches * each);
    const double values = count * static_cast<double>(t.channels.size());
    variance_ = std::max(1e-30, (squares - sum * sum / values) / count);
    return problems;
  }

  int64_t wanted_rows(const LinearRows& rows) const {
    const int64_t k = rows.inputs();
    int64_t wanted = std::max(kLeastRows, kRowsAnInput * k);
    wanted = std::min(wanted, std::max<int64_t>(1, kMostNumbers / ((k + rows.outputs()) * rows.groups())));
    // A Gram matrix takes rows k^2 / 2 products, or rows^2 k / 2 where there are fewer rows than inputs.
    while (wanted > kBatch && wanted * std::min(wanted, k) / 2 * k * rows.groups() > kMostProducts) wanted = wanted * 7 / 8;
    return wanted;
  }

  /// Full batches only, but for data of less than one.
  int64_t batches_for(const LinearRows& rows) const {
    const int64_t most = std::max<int64_t>(1, batcher_.samples() / batch());
    const int64_t affordable = std::max<int64_t>(1, kMostMacs / macs_ / batch());
    // Rows of one sample resemble each other: a quarter of its positions at most, where there are samples.
    const int64_t plane = rows.positions() / batch(), fresh = 4 * wanted_rows(rows) / plane;
    const int64_t samples = std::min(kMostSamples, plane > 1 ? std::max(kSamplesOfPlanes, fresh) : kMostSamples);
    return std::max<int64_t>(1, std::min({most, affordable, samples / batch(), wanted_rows(rows)}));
  }

  static double squares(const Regression& p) {
    double sum = 0;
    for (const double r : p.r) sum += r * r;
    return sum / static_cast<double>(p.rows);
  }

  void replace(ValueId v, Tensor tensor) {
    const ValueId runnable = present_.find_value(cut_.graph.value(v).name);
    check(runnable != kNone, "the rebatched graph has the same weights");
    present_.set_initializer(runnable, tensor);
    cut_.graph.set_initializer(v, std::move(tensor));
  }

  const UnitTable& table_;
  const std::vector<bool>& keep_;
  CutGraph& cut_;
  const ReconstructOptions& options_;
  Batcher batcher_;
  Graph original_, present_;  // at any batch
  int64_t macs_ = 1;
  double variance_ = 1;
  Reconstructed result_;
};

}  // namespace

Reconstructed reconstruct(const UnitTable& table, const std::vector<bool>& keep, CutGraph& cut, const Dataset& data,
                          const Preprocessing& preprocessing, const ReconstructOptions& options) {
  return Reconstruction(table, keep, cut, data, preprocessing, options).run();
}

}  // namespace espalier
