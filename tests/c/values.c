/* camunda_value: types, lookups, strings, numbers, invalid input and lifetimes. */
#include "check.h"

static camunda_value *parse(const char *json) {
  camunda_value *value = NULL;
  camunda_error *error = NULL;
  CHECK_OK(camunda_value_parse(json, strlen(json), &value, &error));
  return value;
}

static void kind_returns_the_json_type(void) {
  camunda_value *value = parse("[null, true, 1.5, \"a\", [], {}]");
  const int32_t wanted[] = {CAMUNDA_KIND_NULL,   CAMUNDA_KIND_BOOL,  CAMUNDA_KIND_NUMBER,
                            CAMUNDA_KIND_STRING, CAMUNDA_KIND_ARRAY, CAMUNDA_KIND_OBJECT};
  CHECK_INT(camunda_value_len(value), 6);
  for (size_t i = 0; i < 6; ++i) {
    CHECK_INT(camunda_value_kind(camunda_value_at(value, i)), wanted[i]);
  }
  CHECK(camunda_value_at(value, 6) == NULL);
  CHECK(camunda_value_at(value, SIZE_MAX) == NULL);
  CHECK_INT(camunda_value_kind(NULL), CAMUNDA_KIND_NULL);
  camunda_value_free(value);
}

static void path_finds_nested_values(void) {
  camunda_value *value = parse("{\"a\":{\"b\":[10,{\"c\":\"deep\"}]},\"\":{\"\":7}}");
  CHECK_STR(camunda_value_str(camunda_value_path(value, "a.b.1.c"), NULL), "deep");
  CHECK_INT(camunda_value_integer(camunda_value_path(value, "a.b.0"), -1), 10);
  const char *const missing[] = {"x", "a.x", "a.b.2", "a.b.-1", "a.b.x", "a.b.1.c.d",
                                 "a..b", "a.b.99999999999999999999", "a.b.+1", "a.b.00", "a.b.01", "a.b."};
  for (size_t i = 0; i < sizeof missing / sizeof *missing; ++i) {
    if (camunda_value_path(value, missing[i]) != NULL) {
      check_fail(__FILE__, __LINE__, "the path `%s` finds a value", missing[i]);
    }
  }
  CHECK(camunda_value_path(value, "\xff") == NULL);
  CHECK(camunda_value_path(value, NULL) == NULL);
  camunda_value_free(value);
}

static void accessors_return_fallback_for_other_types(void) {
  camunda_value *value = parse("{\"text\":\"1\",\"list\":[1],\"number\":1,\"no\":false}");
  const camunda_value *text = camunda_value_get(value, "text");
  CHECK(camunda_value_number(text, -2.5) == -2.5);
  CHECK_INT(camunda_value_integer(text, -7), -7);
  CHECK(camunda_value_bool(text, true));
  CHECK(!camunda_value_bool(camunda_value_get(value, "no"), true));
  CHECK(camunda_value_str(camunda_value_get(value, "number"), NULL) == NULL);
  size_t length = 99;
  CHECK(camunda_value_str(camunda_value_get(value, "list"), &length) == NULL);
  CHECK_INT(length, 0);
  CHECK(camunda_value_get(camunda_value_get(value, "list"), "0") == NULL);
  CHECK(camunda_value_key(camunda_value_get(value, "list"), 0, NULL) == NULL);
  CHECK_INT(camunda_value_len(text), 0);
  CHECK(camunda_value_json(NULL, &length) == NULL);
  camunda_value_free(value);
}

static void path_readers_return_value_or_fallback(void) {
  camunda_value *value = parse("{\"a\":{\"s\":\"x\",\"n\":[7,1.5],\"yes\":true,\"null\":null}}");
  CHECK_STR(camunda_value_path_str(value, "a.s", "none"), "x");
  CHECK_INT(camunda_value_path_integer(value, "a.n.0", -1), 7);
  CHECK(camunda_value_path_bool(value, "a.yes", false));
  const char *const others[] = {"a", "a.x", "a.null", "a.n.1", "a.n.2", "", "a.s.x", "\xff"};
  for (size_t i = 0; i < sizeof others / sizeof *others; ++i) {
    CHECK_STR(camunda_value_path_str(value, others[i], "none"), "none");
    CHECK(camunda_value_path_str(value, others[i], NULL) == NULL);
    CHECK_INT(camunda_value_path_integer(value, others[i], -1), -1);
    CHECK(camunda_value_path_bool(value, others[i], true));
    CHECK(!camunda_value_path_bool(value, others[i], false));
  }
  CHECK_STR(camunda_value_path_str(NULL, "a.s", "none"), "none");
  CHECK_STR(camunda_value_path_str(value, NULL, "none"), "none");
  camunda_value_free(value);
}

static void time_is_in_milliseconds_since_1970(void) {
  const struct {
    const char *text;
    bool good;
    int64_t ms;
  } cases[] = {
      {"1970-01-01T00:00:00Z", true, 0},
      {"2024-05-01T12:00:00.123Z", true, 1714564800123},
      {"2024-05-01T14:00:00.1239+02:00", true, 1714564800123},
      {"1969-12-31T23:59:59.999Z", true, -1},
      {"2024-02-30T00:00:00Z", false, 0},
      {"2024-05-01", false, 0},
      {"yesterday", false, 0},
      {"", false, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    int64_t ms = 7;
    CHECK(camunda_time_parse(cases[i].text, &ms) == cases[i].good);
    CHECK_INT(ms, cases[i].ms);
    char json[64];
    snprintf(json, sizeof json, "\"%s\"", cases[i].text);
    camunda_value *value = parse(json);
    ms = 7;
    CHECK(camunda_value_time(value, &ms) == cases[i].good);
    CHECK_INT(ms, cases[i].ms);
    CHECK(!camunda_value_time(value, NULL));
    camunda_value_free(value);
  }
  camunda_value *number = parse("1714564800123");
  int64_t ms = 7;
  CHECK(!camunda_value_time(number, &ms) && ms == 0);
  ms = 7;
  CHECK(!camunda_value_time(NULL, &ms) && ms == 0);
  camunda_value_free(number);
  camunda_value *longer = parse("\"2024-05-01T12:00:00Z\\u0000x\"");
  ms = 7;
  CHECK(!camunda_value_time(longer, &ms) && ms == 0);
  camunda_value_free(longer);
}

static void next_visits_every_element_and_field_once(void) {
  camunda_value *value = parse("{\"b\":1,\"a\":[10,20,30],\"b\":null,\"e\\u006e\":{}}");
  size_t position = 0;
  int64_t sum = 0;
  const camunda_value *item;
  const camunda_value *array = camunda_value_get(value, "a");
  for (int i = 0; (item = camunda_value_next(array, &position)) != NULL; ++i) {
    CHECK(item == camunda_value_at(array, (size_t)i));
    sum += camunda_value_integer(item, 0);
  }
  CHECK_INT(sum, 60);
  CHECK(camunda_value_next(array, &position) == NULL);

  const char *const names[] = {"b", "a", "b", "en"};
  const char *name = NULL;
  position = 0;
  for (size_t i = 0; i < 4; ++i) {
    size_t length = 99;
    CHECK(camunda_value_next_field(value, &position, &name, &length) == camunda_value_at(value, i));
    CHECK_STR(name, names[i]);
    CHECK_INT(length, strlen(names[i]));
  }
  CHECK(camunda_value_next_field(value, &position, &name, NULL) == NULL);
  CHECK(name == NULL);
  position = 2;
  CHECK_INT(camunda_value_kind(camunda_value_next(value, &position)), CAMUNDA_KIND_NULL);
  CHECK(camunda_value_next(value, &position) == camunda_value_at(value, 3));

  /* Values without fields or elements. */
  position = 0;
  name = "x";
  CHECK(camunda_value_next_field(array, &position, &name, NULL) == NULL && name == NULL);
  CHECK(camunda_value_next_field(NULL, &position, &name, NULL) == NULL);
  CHECK(camunda_value_next(camunda_value_at(array, 0), &position) == NULL);
  CHECK(camunda_value_next(NULL, &position) == NULL);
  CHECK(camunda_value_next(array, NULL) == NULL);
  CHECK(camunda_value_next_field(value, &position, NULL, NULL) == NULL);
  CHECK(camunda_value_next_field(value, NULL, &name, NULL) == NULL && name == NULL);
  CHECK_INT((int)position, 0);
  camunda_value_free(value);
}

static void get_returns_the_last_of_duplicate_keys(void) {
  camunda_value *value = parse("{\"b\":1,\"a\":2,\"b\":3}");
  size_t length = 0;
  CHECK_INT(camunda_value_len(value), 3);
  CHECK_STR(camunda_value_key(value, 0, &length), "b");
  CHECK_INT(length, 1);
  CHECK_STR(camunda_value_key(value, 1, NULL), "a");
  CHECK(camunda_value_key(value, 3, NULL) == NULL);
  CHECK_INT(camunda_value_integer(camunda_value_at(value, 0), 0), 1);
  CHECK_INT(camunda_value_integer(camunda_value_get(value, "b"), 0), 3);
  camunda_value_free(value);
}

static void str_decodes_escapes_and_returns_length_with_nul(void) {
  camunda_value *value =
      parse("{\"text\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\",\"nul\":\"a\\u0000b\","
            "\"k\\u0000y\":1}");
  CHECK_STR(camunda_value_str(camunda_value_get(value, "text"), NULL),
            "\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80");
  size_t length = 0;
  const char *text = camunda_value_str(camunda_value_get(value, "nul"), &length);
  CHECK_INT(length, 3);
  CHECK(text != NULL && memcmp(text, "a\0b", 4) == 0);
  text = camunda_value_key(value, 2, &length);
  CHECK_INT(length, 3);
  CHECK(text != NULL && memcmp(text, "k\0y", 4) == 0);
  /* `k` and `k\0y` are different keys. */
  CHECK(camunda_value_get(value, "k") == NULL);
  camunda_value_free(value);

  /* An unpaired surrogate is rejected, or its string is NULL. */
  camunda_value *unpaired = NULL;
  if (camunda_value_parse("[\"\\ud800\"]", 10, &unpaired, NULL) == CAMUNDA_STATUS_OK) {
    CHECK(camunda_value_str(camunda_value_at(unpaired, 0), NULL) == NULL);
  }
  camunda_value_free(unpaired);
}

static void numbers_keep_all_digits(void) {
  camunda_value *value = parse(
      "[9223372036854775807,-9223372036854775808,9223372036854775808,9007199254740993,1e3,1.0,"
      "123456789012345678901234567890,-0,1e400,0.1]");
  CHECK(camunda_value_integer(camunda_value_at(value, 0), 0) == INT64_MAX);
  CHECK(camunda_value_integer(camunda_value_at(value, 1), 0) == INT64_MIN);
  CHECK_INT(camunda_value_integer(camunda_value_at(value, 2), -5), -5);
  CHECK_INT(camunda_value_integer(camunda_value_at(value, 3), 0), 9007199254740993);
  CHECK(camunda_value_number(camunda_value_at(value, 4), 0) == 1000);
  CHECK_INT(camunda_value_integer(camunda_value_at(value, 4), -5), 1000);
  CHECK(camunda_value_number(camunda_value_at(value, 5), 0) == 1);
  CHECK_INT(camunda_value_integer(camunda_value_at(value, 5), -5), 1);
  CHECK_INT(camunda_value_integer(camunda_value_at(value, 6), -5), -5);
  CHECK_STR(camunda_value_json(camunda_value_at(value, 6), NULL),
            "123456789012345678901234567890");
  CHECK(camunda_value_number(camunda_value_at(value, 6), 0) > 1.2e29);
  CHECK(camunda_value_number(camunda_value_at(value, 7), 1) == 0);
  /* Out of range of a double: infinity or the fallback; the JSON has all digits. */
  CHECK(camunda_value_number(camunda_value_at(value, 8), 1) != 0);
  CHECK_STR(camunda_value_json(camunda_value_at(value, 8), NULL), "1e400");
  CHECK(camunda_value_number(camunda_value_at(value, 9), 0) == 0.1);
  camunda_value_free(value);
}

static void json_is_unmodified(void) {
  const char *json = "{ \"a\" : [ 1.0 , {\"b\":\"\\u00e9\"} ] }";
  camunda_value *value = parse(json);
  size_t length = 0;
  CHECK_STR(camunda_value_json(value, &length), json);
  CHECK_INT(length, strlen(json));
  CHECK_STR(camunda_value_json(camunda_value_path(value, "a.1"), &length), "{\"b\":\"\\u00e9\"}");
  CHECK_INT(length, 14);
  camunda_value_free(value);
}

static void parse_rejects_invalid_json(void) {
  const char *const bad[] = {"",      " ",     "{",    "[1,]", "{\"a\":}", "nul",  "'a'", "[1] 2",
                             "{a:1}", "\"\n\"", "+1",   "01",   "\xff",     "\"\xff\"", "\"\xc3\"",
                             "[NaN]"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    camunda_value *value = (camunda_value *)(void *)&i;
    camunda_error *error = NULL;
    if (camunda_value_parse(bad[i], strlen(bad[i]), &value, &error) !=
        CAMUNDA_STATUS_INVALID_ARGUMENT) {
      check_fail(__FILE__, __LINE__, "`%s` is accepted as JSON", bad[i]);
    }
    CHECK(value == NULL);
    CHECK(camunda_error_message(error) != NULL);
    FREE_ERROR(error);
  }
  /* The length ends the input, not a NUL. */
  camunda_value *value = NULL;
  CHECK_INT(camunda_value_parse("1\0", 2, &value, NULL), CAMUNDA_STATUS_INVALID_ARGUMENT);
  CHECK_INT(camunda_value_parse("12345", 2, &value, NULL), CAMUNDA_STATUS_OK);
  CHECK_INT(camunda_value_integer(value, 0), 12);
  camunda_value_free(value);
}

static void parse_reads_or_rejects_deep_nesting(void) {
  for (size_t depth = 10; depth <= 10000; depth *= 10) {
    char *json = (char *)malloc(2 * depth + 1);
    memset(json, '[', depth);
    memset(json + depth, ']', depth);
    json[2 * depth] = '\0';
    camunda_value *value = NULL;
    camunda_error *error = NULL;
    const camunda_status status = camunda_value_parse(json, 2 * depth, &value, &error);
    CHECK(status == CAMUNDA_STATUS_OK || status == CAMUNDA_STATUS_INVALID_ARGUMENT);
    if (depth == 10) CHECK_INT(status, CAMUNDA_STATUS_OK);
    const camunda_value *inner = value;
    /* 50 levels suffice. */
    for (size_t level = 0; inner != NULL && level < 50; ++level) {
      inner = camunda_value_at(inner, 0);
    }
    camunda_value_free(value);
    FREE_ERROR(error);
    free(json);
  }
}

static void at_finds_all_of_many_elements(void) {
  const size_t count = 10000;
  char *json = (char *)malloc(count * 24 + 3);
  char *end = json;
  *end++ = '[';
  for (size_t i = 0; i < count; ++i) end += sprintf(end, "%s{\"n\":%zu}", i == 0 ? "" : ",", i);
  strcpy(end, "]");
  camunda_value *value = parse(json);
  CHECK_INT(camunda_value_len(value), count);
  long long sum = 0;
  for (size_t i = 0; i < count; ++i) {
    sum += camunda_value_integer(camunda_value_get(camunda_value_at(value, i), "n"), -1);
  }
  CHECK_INT(sum, (long long)count * ((long long)count - 1) / 2);
  camunda_value_free(value);
  free(json);
}

/* Strings of a part are valid until the whole value is freed, whatever is read in between. */
static void borrowed_strings_are_valid_until_the_value_is_freed(void) {
  camunda_value *value = parse("{\"a\":{\"b\":\"one\",\"c\":\"two\"},\"d\":[\"three\"]}");
  const camunda_value *a = camunda_value_get(value, "a");
  const char *one = camunda_value_str(camunda_value_get(a, "b"), NULL);
  const char *json = camunda_value_json(a, NULL);
  const char *key = camunda_value_key(a, 1, NULL);
  CHECK(camunda_value_get(value, "a") == a);
  CHECK(camunda_value_path(value, "d.0") != NULL);
  CHECK(camunda_value_json(value, NULL) != NULL);
  CHECK(camunda_value_str(camunda_value_path(value, "a.b"), NULL) == one);
  CHECK(camunda_value_json(a, NULL) == json);
  CHECK_STR(one, "one");
  CHECK_STR(key, "c");
  CHECK_STR(json, "{\"b\":\"one\",\"c\":\"two\"}");
  camunda_value_free(value);
  camunda_value_free(NULL);
}

static camunda_value *shared;

static void *read_shared(void *unused) {
  (void)unused;
  for (int i = 0; i < 50; ++i) {
    for (size_t at = 0; at < camunda_value_len(shared); ++at) {
      const camunda_value *item = camunda_value_at(shared, at);
      if (camunda_value_integer(camunda_value_path(item, "n.0"), -1) != (int64_t)at) return shared;
      if (camunda_value_json(item, NULL) == NULL) return shared;
    }
  }
  return NULL;
}

static void value_is_readable_from_several_threads(void) {
  shared = parse("[{\"n\":[0]},{\"n\":[1]},{\"n\":[2]},{\"n\":[3]}]");
  pthread_t threads[8];
  for (int i = 0; i < 8; ++i) pthread_create(&threads[i], NULL, read_shared, NULL);
  for (int i = 0; i < 8; ++i) {
    void *wrong = NULL;
    pthread_join(threads[i], &wrong);
    CHECK(wrong == NULL);
  }
  camunda_value_free(shared);
}

int main(void) {
  RUN(kind_returns_the_json_type);
  RUN(path_finds_nested_values);
  RUN(accessors_return_fallback_for_other_types);
  RUN(path_readers_return_value_or_fallback);
  RUN(time_is_in_milliseconds_since_1970);
  RUN(next_visits_every_element_and_field_once);
  RUN(get_returns_the_last_of_duplicate_keys);
  RUN(str_decodes_escapes_and_returns_length_with_nul);
  RUN(numbers_keep_all_digits);
  RUN(json_is_unmodified);
  RUN(parse_rejects_invalid_json);
  RUN(parse_reads_or_rejects_deep_nesting);
  RUN(at_finds_all_of_many_elements);
  RUN(borrowed_strings_are_valid_until_the_value_is_freed);
  RUN(value_is_readable_from_several_threads);
  return check_finish();
}
