#include "lib/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "lib/base/file.h"
#include "lib/base/random.h"
#include "lib/data/idx.h"
#include "lib/data/npz.h"

namespace espalier {
namespace {

struct Spec {
  std::string path;
  std::vector<std::pair<std::string, std::string>> names;  // x=images
  bool has(const std::string& key) const {
    return std::any_of(names.begin(), names.end(), [&](const auto& pair) { return pair.first == key; });
  }
  std::string get(const std::string& key) const {
    for (const auto& [k, v] : names) {
      if (k == key) return v;
    }
    return "";
  }
};

/// A colon starts the names only if what follows looks like names; paths may have colons too.
Spec parse_spec(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || text.find('=', colon) == std::string::npos) return {text, {}};
  Spec spec{text.substr(0, colon), {}};
  size_t at = colon + 1;
  while (at <= text.size()) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string item = text.substr(at, end - at);
    const size_t equals = item.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(ErrorKind::usage, "data '" + text + "': '" + item + "' is not understood, expected name=array")
          .hint("for example train.npz:x=images,y=labels");
    }
    const std::string key = item.substr(0, equals);
    if (spec.has(key)) throw Error(ErrorKind::usage, "data '" + text + "': '" + key + "' is given twice");
    spec.names.emplace_back(key, item.substr(equals + 1));
    at = end + 1;
  }
  return spec;
}

enum class Format { npz, npy, idx };

Format recognise(const std::string& path) {
  if (std::filesystem::is_directory(path)) {
    throw Error(ErrorKind::bad_data, "data '" + path + "' is a folder").hint("expected a .npz, .npy or MNIST IDX file");
  }
  const MappedFile file(path);
  char head[4] = {};
  const size_t got = std::min<size_t>(4, file.bytes().size());
  if (got > 0) std::memcpy(head, file.bytes().data(), got);
  if (got >= 2 && head[0] == 'P' && head[1] == 'K') return Format::npz;
  if (head[0] == '\x93') return Format::npy;
  if (got == 4 && ((head[0] == 0 && head[1] == 0) || (head[0] == '\x1f' && head[1] == '\x8b'))) return Format::idx;
  throw Error(ErrorKind::bad_data, "data '" + path + "' is of no known format").hint("expected a .npz, .npy or MNIST IDX file");
}

Dataset open_npz(const Spec& spec, std::span<const std::string> model_inputs) {
  const NpzFile file(spec.path);
  std::vector<Column> inputs;
  for (const auto& [key, array] : spec.names) {
    if (key != "y") inputs.push_back({key, file.read(array)});
  }
  if (inputs.empty()) {
    for (const std::string& input : model_inputs) {
      if (file.contains(input)) inputs.push_back({input, file.read(input)});
    }
  }
  if (inputs.empty()) {
    if (!file.contains("x")) {
      std::string all;
      for (const std::string& array : file.names()) all += (all.empty() ? "" : ", ") + array;
      throw Error(ErrorKind::bad_data, "'" + spec.path + "' has no array 'x'")
          .hint("it holds: " + all + "; say which by FILE:x=NAME,y=NAME");
    }
    inputs.push_back({"x", file.read("x")});
  }
  Tensor targets;
  const bool input_is_y = std::any_of(inputs.begin(), inputs.end(), [](const Column& c) { return c.input == "y"; });
  const std::string labels = spec.has("y") ? spec.get("y") : !input_is_y && file.contains("y") ? "y" : "";
  if (!labels.empty()) targets = file.read(labels);
  return make_dataset(spec.path, std::move(inputs), std::move(targets));
}

Tensor read_single(const std::string& path) {
  switch (recognise(path)) {
    case Format::npy: return read_npy(MappedFile(path).bytes(), "'" + path + "'");
    case Format::idx: return read_idx(path);
    default: throw Error(ErrorKind::bad_data, "'" + path + "' holds several arrays, expected one (.npy or IDX)");
  }
}

/// train-images-idx3-ubyte.gz -> train-labels-idx1-ubyte.gz, or "" if there is no such file.
std::string mnist_labels(const std::string& images) {
  const std::filesystem::path path(images);
  std::string name = path.filename().string();
  const size_t word = name.find("images");
  if (word == std::string::npos) return "";
  name.replace(word, 6, "labels");
  const size_t rank = name.find("idx3");
  if (rank != std::string::npos) name.replace(rank, 4, "idx1");
  const auto labels = path.parent_path() / name;
  return std::filesystem::exists(labels) ? labels.string() : "";
}

Dataset open_single(const Spec& spec, Format format) {
  for (const auto& [key, value] : spec.names) {
    if (key != "y") throw Error(ErrorKind::usage, "data '" + spec.path + "' is one array, '" + key + "=' has no meaning");
  }
  Tensor targets;
  const std::string labels = spec.has("y") ? spec.get("y") : format == Format::idx ? mnist_labels(spec.path) : "";
  if (!labels.empty()) targets = read_single(labels);
  return make_dataset(spec.path, {{"x", read_single(spec.path)}}, std::move(targets));
}

/// Class indices as int64, other numbers as float; a trailing axis of size 1 of class indices is dropped.
Tensor normalised_targets(Tensor targets, const std::string& name) {
  if (targets.type() == DataType::string) {
    throw Error(ErrorKind::bad_data, "data '" + name + "': labels are text, expected class indices or numbers");
  }
  if (is_float(targets.type())) return targets.cast(DataType::float32);
  if (targets.rank() == 2 && targets.dims()[1] == 1) targets = targets.reshaped({targets.dims()[0]});
  return targets.cast(DataType::int64);
}

}  // namespace

const Tensor& Dataset::input(const std::string& model_input) const {
  std::string all;
  for (const Column& column : inputs) {
    if (column.input == model_input) return column.values;
    all += (all.empty() ? "" : ", ") + column.input;
  }
  if (inputs.size() == 1 && inputs[0].input == "x") return inputs[0].values;
  throw Error(ErrorKind::bad_data, "data '" + name + "' has nothing for the model's input '" + model_input + "'")
      .hint("it has: " + all + "; say which array by FILE:" + model_input + "=NAME");
}

Dataset make_dataset(std::string name, std::vector<Column> inputs, Tensor targets) {
  check(!inputs.empty(), "a data set has inputs");
  Dataset data{std::move(name), std::move(inputs), {}, {}};
  const auto rows_of = [&](const Tensor& tensor, const std::string& what) {
    if (tensor.type() == DataType::string || tensor.type() == DataType::complex64 || tensor.type() == DataType::complex128) {
      throw Error(ErrorKind::bad_data, "data '" + data.name + "': " + what + " is " + std::string(espalier::name(tensor.type())) + ", expected numbers");
    }
    if (tensor.rank() == 0) throw Error(ErrorKind::bad_data, "data '" + data.name + "': " + what + " is a scalar, expected one row a sample");
    return tensor.dims()[0];
  };
  const int64_t count = rows_of(data.inputs[0].values, data.inputs[0].input);
  for (const Column& column : data.inputs) {
    if (rows_of(column.values, column.input) != count) {
      throw Error(ErrorKind::bad_data, "data '" + data.name + "': " + column.input + " has " +
                                           std::to_string(column.values.dims()[0]) + " samples, expected " + std::to_string(count));
    }
  }
  if (targets.defined()) {
    data.targets = normalised_targets(std::move(targets), data.name);
    if (rows_of(data.targets, "labels") != count) {
      throw Error(ErrorKind::bad_data, "data '" + data.name + "': there are " + std::to_string(data.targets.dims()[0]) +
                                           " labels, expected " + std::to_string(count));
    }
  }
  if (count == 0) throw Error(ErrorKind::bad_data, "data '" + data.name + "' has no samples");
  data.rows.resize(static_cast<size_t>(count));
  std::iota(data.rows.begin(), data.rows.end(), 0);
  return data;
}

Dataset open_dataset(const std::string& text, std::span<const std::string> model_inputs) {
  const Spec spec = parse_spec(text);
  const Format format = recognise(spec.path);
  return format == Format::npz ? open_npz(spec, model_inputs) : open_single(spec, format);
}

std::pair<Dataset, Dataset> split(const Dataset& data, double fraction, uint64_t seed) {
  if (!(fraction > 0 && fraction < 1)) {
    throw Error(ErrorKind::usage, "validation fraction is " + std::to_string(fraction) + ", expected one between 0 and 1");
  }
  if (data.size() < 2) throw Error(ErrorKind::bad_data, "data '" + data.name + "' has one sample, too few to part");
  const auto part = std::clamp<int64_t>(std::llround(static_cast<double>(data.size()) * fraction), 1, data.size() - 1);
  std::vector<int64_t> order = data.rows;
  const Random random(seed, RandomUse::shuffle, 0xffffffffu);  // a stream that no epoch uses
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i, i)]);
  Dataset train = data, validation = data;
  validation.rows.assign(order.begin(), order.begin() + part);
  train.rows.assign(order.begin() + part, order.end());
  std::sort(validation.rows.begin(), validation.rows.end());
  std::sort(train.rows.begin(), train.rows.end());
  return {std::move(train), std::move(validation)};
}

Dataset head(const Dataset& data, int64_t count) {
  Dataset result = data;
  result.rows.resize(static_cast<size_t>(std::clamp<int64_t>(count, 0, data.size())));
  return result;
}

void check_labels(const Dataset& data, int64_t classes) {
  check(data.has_classes(), "labels are class indices");
  const auto labels = data.targets.data<int64_t>();
  const int64_t width = data.targets.size() / data.targets.dims()[0];
  for (const int64_t row : data.rows) {
    for (int64_t i = row * width; i < (row + 1) * width; ++i) {
      const int64_t label = labels[static_cast<size_t>(i)];
      if (label < 0 || label >= classes) {
        throw Error(ErrorKind::bad_data, "data '" + data.name + "': label of row " + std::to_string(row) + " is " +
                                             std::to_string(label) + ", expected one in [0, " + std::to_string(classes) + ")");
      }
    }
  }
}

}  // namespace espalier
