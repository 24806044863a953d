// The main function of a fuzzer that was not built with libFuzzer, so that every build runs every fuzzer.
//
//   NAME [-runs=N] [-seed=S] FILE|FOLDER...
//
// Runs each file as it is, then N mutations of them (bytes flipped, removed, repeated, spliced). The same seed gives
// the same inputs. A crash is the only failure; the input that is running can be kept with -keep=FILE.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

Bytes read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

class Mutator {
 public:
  Mutator(const std::vector<Bytes>& corpus, uint64_t seed) : corpus_(corpus), random_(seed) {}

  Bytes next() {
    Bytes bytes = corpus_[below(corpus_.size())];
    for (size_t edits = 1 + below(4); edits > 0 && !bytes.empty(); --edits) edit(bytes);
    return bytes;
  }

 private:
  size_t below(size_t limit) { return static_cast<size_t>(random_() % limit); }

  void edit(Bytes& bytes) {
    const size_t at = below(bytes.size());
    const size_t length = 1 + below(std::min<size_t>(16, bytes.size() - at));
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(6)) {
      case 0: bytes[at] ^= static_cast<uint8_t>(1u << below(8)); break;
      case 1: bytes[at] = static_cast<uint8_t>(random_()); break;
      case 2: bytes.erase(begin, begin + static_cast<std::ptrdiff_t>(length)); break;
      case 3: {
        const Bytes copy(begin, begin + static_cast<std::ptrdiff_t>(length));
        bytes.insert(begin, copy.begin(), copy.end());
        break;
      }
      case 4: bytes.resize(at); break;
      default: {  // the head of this, the tail of another
        const Bytes& other = corpus_[below(corpus_.size())];
        if (other.empty()) return;
        bytes.resize(at);
        bytes.insert(bytes.end(), other.begin() + static_cast<std::ptrdiff_t>(below(other.size())), other.end());
      }
    }
  }

  const std::vector<Bytes>& corpus_;
  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  uint64_t runs = 0;
  uint64_t seed = 1;
  std::string keep;
  std::vector<Bytes> corpus;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("-runs=")) {
      runs = std::strtoull(argv[i] + 6, nullptr, 10);
    } else if (argument.starts_with("-seed=")) {
      seed = std::strtoull(argv[i] + 6, nullptr, 10);
    } else if (argument.starts_with("-keep=")) {
      keep = argument.substr(6);
    } else if (std::filesystem::is_directory(argument)) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(argument)) {
        if (entry.is_regular_file()) corpus.push_back(read(entry.path()));
      }
    } else {
      corpus.push_back(read(argument));
    }
  }
  if (corpus.empty()) corpus.push_back({'e'});
  const auto run = [&](const Bytes& bytes) {
    if (!keep.empty()) {
      std::ofstream(keep, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  };
  for (const Bytes& bytes : corpus) run(bytes);
  Mutator mutator(corpus, seed);
  for (uint64_t i = 0; i < runs; ++i) run(mutator.next());
  std::printf("%zu files and %llu mutations run\n", corpus.size(), static_cast<unsigned long long>(runs));
  return 0;
}
