#include "bench/harness/json_check.h"

#include <cctype>
#include <cstddef>
#include <string>

namespace hak_bench {
namespace {

// Recursive descent: a function a rule of the grammar, true when the rule was found and skipped.
class Checker {
  public:
    explicit Checker(const std::string &text) : text_(text) {}

    bool Document() {
        if (!Value()) return false;
        Space();
        return at_ == text_.size();
    }

  private:
    char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    void Space();
    bool Word(const std::string &word);
    bool Value();
    // What stands in brackets, up to `close`; `item` is the rule of one item.
    template <class Item> bool Items(const char *close, Item item);
    bool String();
    bool Digits();
    bool Number();

    const std::string &text_;
    std::size_t at_ = 0;
};

void Checker::Space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
}

bool Checker::Word(const std::string &word) {
    Space();
    if (text_.compare(at_, word.size(), word) != 0) return false;
    at_ += word.size();
    return true;
}

bool Checker::Value() {
    if (Word("{")) return Items("}", [this] { return String() && Word(":") && Value(); });
    if (Word("[")) return Items("]", [this] { return Value(); });
    return Word("true") || Word("false") || Word("null") || String() || Number();
}

template <class Item> bool Checker::Items(const char *close, Item item) {
    if (Word(close)) return true;
    do {
        if (!item()) return false;
    } while (Word(","));
    return Word(close);
}

bool Checker::String() {
    if (!Word("\"")) return false;
    while (at_ < text_.size() && text_[at_] != '"') {
        if (static_cast<unsigned char>(text_[at_]) < ' ') return false;
        at_ += text_[at_] == '\\' ? 2 : 1;
    }
    ++at_; // the closing quote; beyond the end when there is none
    return at_ <= text_.size();
}

bool Checker::Digits() {
    const std::size_t begin = at_;
    while (std::isdigit(static_cast<unsigned char>(Peek())) != 0) ++at_;
    return at_ > begin;
}

bool Checker::Number() {
    if (Peek() == '-') ++at_;
    if (!Digits()) return false;
    if (Peek() == '.') {
        ++at_;
        if (!Digits()) return false;
    }
    if (Peek() != 'e' && Peek() != 'E') return true;
    ++at_;
    if (Peek() == '+' || Peek() == '-') ++at_;
    return Digits();
}

} // namespace

bool IsJson(const std::string &text) { return Checker(text).Document(); }

} // namespace hak_bench
