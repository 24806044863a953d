#include "lib/data/batcher.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/tensor/dispatch.h"

namespace espalier {
namespace {

/// Where one sample is read: moved by (row, column), and mirrored.
struct View {
  bool mirrored = false;
  int64_t row = 0, column = 0;
};

View draw_view(const Augmentation& augmentation, const Random& random, int64_t sample) {
  const auto words = random.words(static_cast<uint64_t>(sample));
  const auto range = static_cast<uint64_t>(2 * augmentation.crop + 1);
  const auto offset = [&](uint32_t word) { return static_cast<int64_t>(word * range >> 32) - augmentation.crop; };
  return {augmentation.flip && (words[0] & 1) != 0, offset(words[1]), offset(words[2])};
}

/// Values of one channel: bytes by table, other types by arithmetic in double.
struct ChannelRule {
  double scale = 1, mean = 0, std = 1;
  float operator()(double x) const { return static_cast<float>((x * scale - mean) / std); }
};

struct ByteTable {
  float values[256];
  float operator()(uint8_t x) const { return values[x]; }
};

template <class T, class Rule>
void read_sample(const SampleMap& map, const T* from, const View& view, const std::vector<Rule>& rules, float* to) {
  for (int64_t c = 0; c < map.channels; ++c) {
    const Rule& rule = rules[static_cast<size_t>(c)];
    const float outside = rule(T(0));
    for (int64_t y = 0; y < map.height; ++y) {
      float* out = to + c * map.to_channel + y * map.to_row;
      const int64_t row = y + view.row;
      if (row < 0 || row >= map.height) {
        for (int64_t x = 0; x < map.width; ++x) out[x * map.to_column] = outside;
        continue;
      }
      const T* in = from + c * map.from_channel + row * map.from_row;
      if (!view.mirrored && view.column == 0) {
        for (int64_t x = 0; x < map.width; ++x) out[x * map.to_column] = rule(in[x * map.from_column]);
        continue;
      }
      for (int64_t x = 0; x < map.width; ++x) {
        const int64_t column = (view.mirrored ? map.width - 1 - x : x) + view.column;
        out[x * map.to_column] = column < 0 || column >= map.width ? outside : rule(in[column * map.from_column]);
      }
    }
  }
}

}  // namespace

/// One column of the data as one slot wants it.
class Batcher::Source {
 public:
  Source(const Dataset& data, const InputSlot& slot, const Preprocessing& preprocessing, const Augmentation& augmentation)
      : values_(data.input(slot.name)), type_(slot.type) {
    const Dims sample(values_.dims().begin() + 1, values_.dims().end());
    const size_t given = std::max({preprocessing.scale.size(), preprocessing.mean.size(), preprocessing.std.size()});
    try {
      map_ = fit_sample(sample, slot.dims, preprocessing.layout, static_cast<int64_t>(given));
    } catch (const Error& error) {
      throw Error(error.kind(), "data '" + data.name + "', input '" + slot.name + "': " + error.what())
          .hint("layout nhwc or nchw says how images lie; FILE:x=NAME which array it is");
    }
    if (augmentation.any() && !map_.image) {
      throw Error(ErrorKind::usage, "flip and crop need images, samples of input '" + slot.name + "' have shape " + to_string(sample));
    }
    if (type_ == DataType::float32) {
      prepare_float(preprocessing);
    } else {
      if (preprocessing.changes_values()) {
        throw Error(ErrorKind::usage, "input '" + slot.name + "' is " + std::string(name(type_)) + ", scale, mean and std are for float inputs");
      }
      if (map_.transposed || augmentation.any()) {
        throw Error(ErrorKind::usage, "input '" + slot.name + "' is " + std::string(name(type_)) + ", transposing and augmentation are for float inputs");
      }
      values_ = values_.cast(type_);
    }
  }

  const SampleMap& map() const { return map_; }
  size_t sample_bytes() const { return static_cast<size_t>(map_.count()) * static_cast<size_t>(bit_width(type_)) / 8; }

  void read(int64_t row, const View& view, std::byte* to) const {
    if (type_ == DataType::float32) {
      (this->*read_float_)(row, view, reinterpret_cast<float*>(to));
    } else {
      std::memcpy(to, values_.bytes().data() + static_cast<size_t>(row) * sample_bytes(), sample_bytes());
    }
  }

 private:
  void prepare_float(const Preprocessing& preprocessing) {
    const ChannelValues given = channel_values(preprocessing, map_.channels);
    for (size_t c = 0; c < given.scale.size(); ++c) rules_.push_back({given.scale[c], given.mean[c], given.std[c]});
    if (values_.type() == DataType::uint8) {
      for (const ChannelRule& rule : rules_) {
        tables_.emplace_back();
        for (int x = 0; x < 256; ++x) tables_.back().values[x] = rule(x);
      }
      read_float_ = &Source::read_bytes;
      return;
    }
    dispatch_numeric(values_.type(), [&]<class T>() { read_float_ = &Source::read_numbers<T>; });
  }

  void read_bytes(int64_t row, const View& view, float* to) const {
    read_sample(map_, values_.data<uint8_t>().data() + row * map_.count(), view, tables_, to);
  }

  template <class T>
  void read_numbers(int64_t row, const View& view, float* to) const {
    read_sample(map_, values_.data<T>().data() + row * map_.count(), view, rules_, to);
  }

  Tensor values_;
  DataType type_;
  SampleMap map_;
  std::vector<ChannelRule> rules_;
  std::vector<ByteTable> tables_;
  void (Source::*read_float_)(int64_t, const View&, float*) const = nullptr;
};

Augmentation parse_augmentation(const std::string& text) {
  Augmentation result;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string item = text.substr(at, end - at);
    if (item == "flip") {
      result.flip = true;
    } else {
      const char* first = item.data() + std::min<size_t>(5, item.size());
      const char* last = item.data() + item.size();
      const auto [rest, error] = std::from_chars(first, last, result.crop);
      if (!item.starts_with("crop:") || error != std::errc() || rest != last || result.crop < 1 || result.crop > 4096) {
        throw Error(ErrorKind::usage, "augmentation '" + item + "' is not known, expected flip or crop:PIXELS").hint("for example flip,crop:4");
      }
    }
    at = end + 1;
  }
  return result;
}

Batcher::Batcher(const Dataset& data, std::vector<InputSlot> slots, const Preprocessing& preprocessing, const BatcherOptions& options)
    : data_(data), options_(options), order_(data.rows) {
  if (options.batch_size < 1) {
    throw Error(ErrorKind::usage, "batch size is " + std::to_string(options.batch_size) + ", expected at least 1");
  }
  for (const InputSlot& slot : slots) {
    sources_.push_back(std::make_unique<Source>(data_, slot, preprocessing, options.augmentation));
  }
  start_epoch(0);
}

Batcher::~Batcher() = default;
Batcher::Batcher(Batcher&&) noexcept = default;
Batcher& Batcher::operator=(Batcher&&) noexcept = default;

void Batcher::start_epoch(int64_t epoch) {
  epoch_ = epoch;
  if (!options_.shuffle) return;
  std::copy(data_.rows.begin(), data_.rows.end(), order_.begin());
  const Random random(options_.seed, RandomUse::shuffle, static_cast<uint32_t>(epoch));
  for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i, i)]);
}

int64_t Batcher::samples() const { return static_cast<int64_t>(order_.size()); }

int64_t Batcher::batches() const { return (samples() + options_.batch_size - 1) / options_.batch_size; }

int64_t Batcher::batch_size(int64_t batch) const {
  return std::min(options_.batch_size, samples() - batch * options_.batch_size);
}

const Dims& Batcher::sample_dims(size_t slot) const { return sources_[slot]->map().out_dims; }

bool Batcher::transposes(size_t slot) const { return sources_[slot]->map().transposed; }

std::span<const int64_t> Batcher::rows(int64_t batch) const {
  check(batch >= 0 && batch < batches(), "the batch exists");
  return std::span(order_).subspan(static_cast<size_t>(batch * options_.batch_size), static_cast<size_t>(batch_size(batch)));
}

void Batcher::fill(int64_t batch, size_t slot, std::span<std::byte> out) const {
  const Source& source = *sources_[slot];
  const auto samples = rows(batch);
  const size_t bytes = source.sample_bytes();
  check(out.size() == samples.size() * bytes, "a batch fills its buffer");
  const Random random(options_.seed, RandomUse::augment, static_cast<uint32_t>(epoch_));
  const bool augmented = options_.augmentation.any();
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, source.map().count()));
  parallel_for(static_cast<int64_t>(samples.size()), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = samples[static_cast<size_t>(i)];
      const View view = augmented ? draw_view(options_.augmentation, random, row) : View{};
      source.read(row, view, out.data() + static_cast<size_t>(i) * bytes);
    }
  });
}

namespace {

template <class T>
void copy_targets(const Tensor& targets, std::span<const int64_t> rows, std::span<T> out) {
  const auto width = static_cast<size_t>(targets.size() / targets.dims()[0]);
  check(out.size() == rows.size() * width, "a batch of targets fills its buffer");
  const auto values = targets.data<T>();
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(values.data() + static_cast<size_t>(rows[i]) * width, width, out.data() + i * width);
  }
}

}  // namespace

void Batcher::fill_targets(int64_t batch, std::span<int64_t> out) const { copy_targets(data_.targets, rows(batch), out); }
void Batcher::fill_targets(int64_t batch, std::span<float> out) const { copy_targets(data_.targets, rows(batch), out); }

}  // namespace espalier
