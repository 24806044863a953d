#include "tools/output.h"

#include <unistd.h>

#include <filesystem>

namespace espalier {
namespace fs = std::filesystem;
namespace {

bool same_file(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return fs::equivalent(a, b, ignored) || fs::absolute(a).lexically_normal() == fs::absolute(b).lexically_normal();
}

}  // namespace

void check_output(const std::string& option, const std::string& path, std::span<const std::string> inputs) {
  if (path.empty()) throw Error(ErrorKind::usage, option + " is missing").hint("-o OUT.onnx names the file to write");
  std::error_code ignored;
  for (const std::string& input : inputs) {
    if (same_file(path, input)) {
      throw Error(ErrorKind::usage, option + " '" + path + "' names the input '" + input + "'").hint("name another file");
    }
  }
  if (fs::is_directory(path, ignored)) throw Error(ErrorKind::io, option + " '" + path + "' is a folder");
  fs::path folder = fs::path(path).parent_path();
  if (folder.empty()) folder = ".";
  if (!fs::is_directory(folder, ignored)) throw Error(ErrorKind::io, "folder '" + folder.string() + "' does not exist");
  if (access(folder.c_str(), W_OK) != 0) throw Error(ErrorKind::io, "folder '" + folder.string() + "' cannot be written to");
}

std::string best_name(const std::string& path) {
  fs::path result(path);
  const std::string extension = result.extension().string();
  result.replace_extension();
  return result.string() + ".best" + (extension.empty() ? ".onnx" : extension);
}

std::string best_name(const std::string& path, const std::string& input) {
  const std::string best = best_name(path);
  return same_file(best, input) ? best_name(best) : best;
}

}  // namespace espalier
