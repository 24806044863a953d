#include "lib/graph/dim.h"

#include <algorithm>

#include "lib/base/error.h"

namespace espalier {

Dim Dim::symbol(const std::string& name) {
  Dim result(0);
  (*result.terms_)[{name}] = 1;
  return result;
}

int64_t Dim::value() const {
  check(known(), "a known size, not " + str());
  return terms_->empty() ? 0 : terms_->begin()->second;
}

std::optional<std::string> Dim::symbol_name() const {
  if (!terms_ || terms_->size() != 1) return std::nullopt;
  const auto& [monomial, coefficient] = *terms_->begin();
  if (coefficient != 1 || monomial.size() != 1) return std::nullopt;
  return monomial.front();
}

Dim operator+(const Dim& a, const Dim& b) {
  if (a.unknown() || b.unknown()) return {};
  Dim result = a;
  for (const auto& [monomial, coefficient] : *b.terms_) {
    int64_t& sum = (*result.terms_)[monomial];
    sum = checked_add(sum, coefficient);
    if (sum == 0) result.terms_->erase(monomial);
  }
  return result;
}

Dim operator-(const Dim& a, const Dim& b) { return a + b * Dim(-1); }

Dim operator*(const Dim& a, const Dim& b) {
  if (a.is(0) || b.is(0)) return 0;
  if (a.unknown() || b.unknown()) return {};
  Dim result(0);
  for (const auto& [ma, ca] : *a.terms_) {
    for (const auto& [mb, cb] : *b.terms_) {
      Dim::Monomial monomial = ma;
      monomial.insert(monomial.end(), mb.begin(), mb.end());
      std::sort(monomial.begin(), monomial.end());
      Dim term(0);
      (*term.terms_)[monomial] = checked_mul(ca, cb);
      result = result + term;
    }
  }
  return result;
}

Dim floor_div(const Dim& a, int64_t divisor) {
  check(divisor > 0, "a divisor above zero");
  if (a.unknown() || divisor == 1) return a;
  if (a.known()) {
    const int64_t v = a.value();
    return v >= 0 ? v / divisor : -((-v + divisor - 1) / divisor);
  }
  // What divides comes out of the floor; the rest stays one symbol.
  Dim whole(0), rest(0);
  for (const auto& [monomial, coefficient] : *a.terms_) {
    Dim term(0);
    (*term.terms_)[monomial] = coefficient;
    if (coefficient % divisor == 0) {
      (*term.terms_)[monomial] = coefficient / divisor;
      whole = whole + term;
    } else {
      rest = rest + term;
    }
  }
  if (rest.known()) return whole + floor_div(rest, divisor);
  return whole + Dim::symbol("floor((" + rest.str() + ")/" + std::to_string(divisor) + ")");
}

std::optional<Dim> exact_div(const Dim& a, const Dim& b) {
  if (a.unknown() || b.unknown() || b.is(0)) return std::nullopt;
  if (a == b) return Dim(1);
  if (b.terms_->size() != 1) return std::nullopt;
  const auto& [divisor, factor] = *b.terms_->begin();
  Dim result(0);
  for (const auto& [monomial, coefficient] : *a.terms_) {
    if (coefficient % factor != 0 ||
        !std::includes(monomial.begin(), monomial.end(), divisor.begin(), divisor.end())) {
      return std::nullopt;
    }
    Dim::Monomial quotient;
    std::set_difference(monomial.begin(), monomial.end(), divisor.begin(), divisor.end(),
                        std::back_inserter(quotient));
    (*result.terms_)[quotient] = coefficient / factor;
  }
  return result;
}

namespace {

/// A size as str() writes it, read back with its symbols replaced: what stands in a floor is kept as text.
class SizeText {
 public:
  SizeText(std::string_view text, const std::map<std::string, int64_t>& symbols) : text_(text), symbols_(symbols) {}

  Dim sum() {
    Dim result(0);
    while (at_ < text_.size()) {
      const bool minus = text_[at_] == '-';
      if (minus || text_[at_] == '+') ++at_;
      const Dim term = product_of_factors();
      result = minus ? result - term : result + term;
    }
    return result;
  }

 private:
  Dim product_of_factors() {
    Dim result = factor();
    while (at_ < text_.size() && text_[at_] == '*') {
      ++at_;
      result = result * factor();
    }
    return result;
  }

  /// Up to the next + - * outside of parentheses.
  Dim factor() {
    const size_t begin = at_;
    for (int depth = 0; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '(') ++depth;
      if (c == ')') --depth;
      if (depth == 0 && (c == '+' || c == '-' || c == '*')) break;
    }
    const std::string word(text_.substr(begin, at_ - begin));
    if (!word.empty() && word.size() < 19 && word.find_first_not_of("0123456789") == std::string::npos) return std::stoll(word);
    const auto found = symbols_.find(word);
    return found != symbols_.end() ? Dim(found->second) : Dim::symbol(word).substitute(symbols_);
  }

  std::string_view text_;
  const std::map<std::string, int64_t>& symbols_;
  size_t at_ = 0;
};

/// The value of "floor((<size>)/<n>)" where the symbols in it are all given; the symbol itself otherwise.
Dim substituted_symbol(const std::string& name, const std::map<std::string, int64_t>& symbols) {
  constexpr std::string_view begin = "floor((";
  const size_t end = name.rfind(")/");
  if (name.starts_with(begin) && name.ends_with(')') && end != std::string::npos) {
    const std::string divisor = name.substr(end + 2, name.size() - end - 3);
    const bool number = !divisor.empty() && divisor.size() < 19 && divisor.find_first_not_of("0123456789") == std::string::npos;
    const Dim inner = SizeText(std::string_view(name).substr(begin.size(), end - begin.size()), symbols).sum();
    if (number && inner.known() && std::stoll(divisor) > 0) return floor_div(inner, std::stoll(divisor));
  }
  return Dim::symbol(name);
}

}  // namespace

Dim Dim::substitute(const std::map<std::string, int64_t>& symbols) const {
  if (unknown()) return {};
  Dim result(0);
  for (const auto& [monomial, coefficient] : *terms_) {
    Dim term(coefficient);
    for (const auto& name : monomial) {
      const auto found = symbols.find(name);
      term = term * (found != symbols.end() ? Dim(found->second) : substituted_symbol(name, symbols));
    }
    result = result + term;
  }
  return result;
}

std::string Dim::str() const {
  if (!terms_) return "?";
  if (terms_->empty()) return "0";
  std::string text;
  for (auto it = terms_->rbegin(); it != terms_->rend(); ++it) {  // the constant, the smallest key, last
    const auto& [monomial, coefficient] = *it;
    if (!text.empty() && coefficient > 0) text += '+';
    if (monomial.empty()) {
      text += std::to_string(coefficient);
      continue;
    }
    if (coefficient == -1) text += '-';
    else if (coefficient != 1) text += std::to_string(coefficient) + "*";
    for (size_t i = 0; i < monomial.size(); ++i) text += (i ? "*" : "") + monomial[i];
  }
  return text;
}

SymbolicDims to_symbolic(const Dims& dims) { return {dims.begin(), dims.end()}; }

std::optional<Dims> to_known(const SymbolicDims& dims) {
  Dims result;
  for (const Dim& d : dims) {
    if (!d.known()) return std::nullopt;
    result.push_back(d.value());
  }
  return result;
}

Dim product(const SymbolicDims& dims) {
  Dim result(1);
  for (const Dim& d : dims) result = result * d;
  return result;
}

std::string to_string(const SymbolicDims& dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) text += (i ? "," : "") + dims[i].str();
  return text + "]";
}

}  // namespace espalier
