#include "tools/output.h"

#include <unistd.h>

#include <filesystem>

namespace espalier {
namespace fs = std::filesystem;

void check_output(const std::string& option, const std::string& path, std::span<const std::string> inputs) {
  if (path.empty()) throw Error(ErrorKind::usage, option + " is missing").hint("-o OUT.onnx names the file to write");
  std::error_code ignored;
  for (const std::string& input : inputs) {
    if (fs::equivalent(path, input, ignored) || fs::absolute(path).lexically_normal() == fs::absolute(input).lexically_normal()) {
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

}  // namespace espalier
