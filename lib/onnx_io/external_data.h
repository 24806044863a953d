#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/file.h"
#include "lib/tensor/tensor.h"

namespace espalier::onnx_io {

/// Files of tensor bytes beside a model, each mapped once.
class ExternalFiles {
 public:
  explicit ExternalFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  struct Bytes {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;
  };
  /// The bytes that the tensor's external_data names. `needed`: what dims and type need. Throws Error(bad_data) for unknown
  /// or repeated keys, a location that leaves the folder, a range that leaves the file or has another size.
  Bytes open(const onnx::TensorProto& tensor, int64_t needed);

 private:
  std::filesystem::path folder_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;
};

/// Where a tensor lies in its file. Throws Error(bad_data) as ExternalFiles::open.
struct ExternalRange {
  std::string location;
  int64_t offset = 0;
  int64_t length = -1;  ///< -1: not given
};
ExternalRange external_range(const onnx::TensorProto& tensor);

/// Collects the tensors of one model that go to a file beside it. Tensors that were read from one file keep their offsets
/// there where these make sense; others follow.
class ExternalWriter {
 public:
  explicit ExternalWriter(std::string location) : location_(std::move(location)) {}

  /// `proto` (which must stay where it is) gets its external_data from layout().
  void add(onnx::TensorProto& proto, const Tensor& tensor) { entries_.push_back({&proto, tensor, 0}); }
  bool empty() const { return entries_.empty(); }
  /// Decides where each tensor lies and says so in its proto.
  void layout();
  /// Writes the bytes in the order of their offsets.
  void write(AtomicFile& file) const;

 private:
  struct Entry {
    onnx::TensorProto* proto;
    Tensor tensor;
    int64_t offset;
  };
  bool keep_offsets();
  void lay_out_from(int64_t end, bool all);

  std::string location_;
  std::vector<Entry> entries_;
};

}  // namespace espalier::onnx_io
