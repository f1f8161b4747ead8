#include "bench/harness/json.h"

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>

namespace hak_bench {
namespace {

std::string Escaped(const std::string &text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            char code[8];
            std::snprintf(code, sizeof(code), "\\u%04x", static_cast<unsigned>(byte));
            out += code;
        } else {
            out += c;
        }
    }
    return out;
}

} // namespace

void JsonWriter::BeforeValue() {
    if (after_key_) {
        after_key_ = false;
        return;
    }
    if (has_items_.empty()) return;
    if (has_items_.back()) out_ += ",";
    has_items_.back() = true;
    out_ += "\n" + std::string(2 * has_items_.size(), ' ');
}

void JsonWriter::Open(char bracket) {
    BeforeValue();
    out_ += bracket;
    has_items_.push_back(false);
}

void JsonWriter::Close(char bracket) {
    const bool had_items = has_items_.back();
    has_items_.pop_back();
    if (had_items) out_ += "\n" + std::string(2 * has_items_.size(), ' ');
    out_ += bracket;
}

void JsonWriter::BeginObject() { Open('{'); }
void JsonWriter::EndObject() { Close('}'); }
void JsonWriter::BeginArray() { Open('['); }
void JsonWriter::EndArray() { Close(']'); }

void JsonWriter::Key(const std::string &name) {
    String(name);
    out_ += ": ";
    after_key_ = true;
}

void JsonWriter::String(const std::string &value) {
    BeforeValue();
    out_ += "\"" + Escaped(value) + "\"";
}

void JsonWriter::Number(double value) {
    if (!std::isfinite(value)) return Null();
    BeforeValue();
    char text[40];
    // Counts are written whole: 15 digits hold every count that a double holds exactly.
    const bool whole = std::floor(value) == value && std::fabs(value) < 1e15;
    std::snprintf(text, sizeof(text), whole ? "%.0f" : "%.9g", value);
    out_ += text;
}

void JsonWriter::Null() {
    BeforeValue();
    out_ += "null";
}

void JsonWriter::Field(const std::string &name, const std::string &value) {
    Key(name);
    String(value);
}

void JsonWriter::Field(const std::string &name, double value) {
    Key(name);
    Number(value);
}

} // namespace hak_bench
