#pragma once

#include <filesystem>
#include <string>

namespace espalier::testing {

/// A file below the folder of shared models and data that is not part of the project: the environment
/// variable ESPALIER_SHARED, which ctest sets, or ../shared beside the source tree. The file need not exist:
///     if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
std::filesystem::path shared_path(const std::string& relative);

/// A file of the project's own source tree, for example source_path("models/README.md").
std::filesystem::path source_path(const std::string& relative);

/// The data folder of the package libonnx-testdata, with node/, simple/ ... in it; empty where it is not installed.
/// The environment variable ESPALIER_ONNX_TESTDATA names another one.
///     if (onnx_testdata().empty()) GTEST_SKIP() << "libonnx-testdata is not installed";
std::filesystem::path onnx_testdata();

/// A Python interpreter that can import all of the given modules ("numpy onnxruntime"), or an empty string.
/// Tried are the environment variable ESPALIER_PYTHON, which ctest sets when the build knows one, and
/// python3.
///     const std::string python = python_with("onnxruntime");
///     if (python.empty()) GTEST_SKIP() << "no Python with onnxruntime (tools/check installs it)";
std::string python_with(const std::string& modules);

/// A new empty folder, removed with all it holds at the end of its scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& relative) const { return path_ / relative; }

 private:
  std::filesystem::path path_;
};

}  // namespace espalier::testing
