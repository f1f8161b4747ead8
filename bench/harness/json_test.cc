#include "bench/harness/json.h"

#include <limits>

#include "bench/harness/json_check.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(JsonCheck, TellsJsonFromWhatIsNot) {
    for (const char *text :
         {"{}", "[1, -2.5e3, \"a\\\"b\", null, true]", " {\"a\": {\"b\": []}} "}) {
        EXPECT_TRUE(IsJson(text)) << text;
    }
    for (const char *text :
         {"", "{", "[1,]", "{\"a\"}", "nan", "\"open", "1 2", "[1 2]", "{a: 1}"}) {
        EXPECT_FALSE(IsJson(text)) << text;
    }
}

TEST(JsonWriter, NestsAndPutsCommasBetweenItemsOnly) {
    JsonWriter json;
    json.BeginObject();
    json.Field("a", 1);
    json.Key("b");
    json.BeginArray();
    json.Number(0.5);
    json.Null();
    json.EndArray();
    json.Key("c");
    json.BeginObject();
    json.EndObject();
    json.EndObject();
    EXPECT_EQ(json.ToString(),
              "{\n  \"a\": 1,\n  \"b\": [\n    0.5,\n    null\n  ],\n  \"c\": {}\n}\n");
    EXPECT_TRUE(IsJson(json.ToString()));
}

TEST(JsonWriter, EscapesWhatAStringMayNotHold) {
    JsonWriter json;
    json.String("a\"b\\c\nd");
    EXPECT_EQ(json.ToString(), "\"a\\\"b\\\\c\\u000ad\"\n");
}

TEST(JsonWriter, WritesCountsWholeAndWhatIsNoNumberAsNull) {
    JsonWriter json;
    json.BeginArray();
    json.Number(12345678901234.0);
    json.Number(std::numeric_limits<double>::infinity());
    json.Number(std::numeric_limits<double>::quiet_NaN());
    json.EndArray();
    EXPECT_EQ(json.ToString(), "[\n  12345678901234,\n  null,\n  null\n]\n");
}

} // namespace
} // namespace hak_bench
