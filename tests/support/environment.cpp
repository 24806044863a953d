#include "tests/support/environment.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace espalier::testing {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool imports(const std::string& python, std::string modules) {
  std::replace(modules.begin(), modules.end(), ' ', ',');
  const std::string command = "'" + python + "' -c 'import " + modules + "' >/dev/null 2>&1";
  return std::system(command.c_str()) == 0;
}

}  // namespace

std::filesystem::path shared_path(const std::string& relative) {
  const std::string folder = environment("ESPALIER_SHARED");
  return (folder.empty() ? source_path("../shared") : std::filesystem::path(folder)) / relative;
}

std::filesystem::path source_path(const std::string& relative) {
  return std::filesystem::path(ESPALIER_SOURCE_DIR) / relative;
}

std::filesystem::path onnx_testdata() {
  const std::string folder = environment("ESPALIER_ONNX_TESTDATA");
  return folder.empty() ? ESPALIER_ONNX_TESTDATA : folder;
}

std::string python_with(const std::string& modules) {
  for (const std::string& python : {environment("ESPALIER_PYTHON"), std::string("python3")}) {
    if (!python.empty() && imports(python, modules)) return python;
  }
  return "";
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "espalier-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace espalier::testing
