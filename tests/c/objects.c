/* camunda_object: builds JSON objects with escaped strings and fields in order. */
#include "check.h"

static void object_encodes_every_type_of_field(void) {
  camunda_object *object = camunda_object_new();
  camunda_error *error = NULL;
  const char *const strings[] = {"Zeebe", "a\"b", ""};
  CHECK_OK(camunda_object_set_str(object, "text", "x", &error));
  CHECK_OK(camunda_object_set_integer(object, "whole", INT64_MIN, &error));
  CHECK_OK(camunda_object_set_number(object, "number", 0.5, &error));
  CHECK_OK(camunda_object_set_number(object, "two", 2.0, &error));
  CHECK_OK(camunda_object_set_number(object, "largest", 9223372036854774784.0, &error));
  CHECK_OK(camunda_object_set_number(object, "least", (double)INT64_MIN, &error));
  CHECK_OK(camunda_object_set_number(object, "large", 1e300, &error));
  CHECK_OK(camunda_object_set_bool(object, "yes", true, &error));
  CHECK_OK(camunda_object_set_strings(object, "strings", strings, 3, &error));
  CHECK_OK(camunda_object_set_strings(object, "none", NULL, 0, &error));
  CHECK_OK(camunda_object_set_json(object, "json", "{\"a\":[1.0]}", 11, &error));
  size_t length = 0;
  const char *json = camunda_object_json(object, &length);
  CHECK_STR(json,
            "{\"text\":\"x\",\"whole\":-9223372036854775808,\"number\":0.5,\"two\":2,"
            "\"largest\":9223372036854774784,\"least\":-9223372036854775808,"
            "\"large\":1e+300,\"yes\":true,"
            "\"strings\":[\"Zeebe\",\"a\\\"b\",\"\"],\"none\":[],\"json\":{\"a\":[1.0]}}");
  CHECK_INT(length, json == NULL ? 0 : strlen(json));
  camunda_object_free(object);
}

static void object_nests_objects_and_arrays(void) {
  camunda_object *outer = camunda_object_new();
  camunda_object *inner = camunda_object_new();
  camunda_error *error = NULL;
  CHECK_OK(camunda_object_set_str(inner, "ip", "10.0.0.0/8", &error));
  CHECK_OK(camunda_object_append_object(outer, "list", inner, &error));
  /* The content was copied: later changes do not apply. */
  CHECK_OK(camunda_object_set_str(inner, "ip", "a\"]b", &error));
  CHECK_OK(camunda_object_append_object(outer, "list", inner, &error));
  CHECK_OK(camunda_object_append_str(outer, "names", "x]", &error));
  CHECK_OK(camunda_object_append_str(outer, "names", "y", &error));
  CHECK_OK(camunda_object_append_integer(outer, "names", -7, &error));
  CHECK_OK(camunda_object_set_strings(outer, "roles", NULL, 0, &error));
  CHECK_OK(camunda_object_append_str(outer, "roles", "admin", &error));
  CHECK_OK(camunda_object_set_json(outer, "spaced", "[ 1 , 2 ]", 9, &error));
  CHECK_OK(camunda_object_append_integer(outer, "spaced", 3, &error));
  CHECK_OK(camunda_object_set_json(outer, "empty", "[ ]", 3, &error));
  CHECK_OK(camunda_object_append_integer(outer, "empty", 3, &error));
  CHECK_OK(camunda_object_set_object(outer, "inner", inner, &error));
  CHECK_STR(camunda_object_json(outer, NULL),
            "{\"list\":[{\"ip\":\"10.0.0.0/8\"},{\"ip\":\"a\\\"]b\"}],\"names\":[\"x]\",\"y\",-7],"
            "\"roles\":[\"admin\"],\"spaced\":[ 1 , 2 ,3],\"empty\":[ 3],"
            "\"inner\":{\"ip\":\"a\\\"]b\"}}");
  camunda_object_free(inner);
  camunda_object_free(outer);
}

static void object_contains_a_copy_of_itself(void) {
  camunda_object *object = camunda_object_new();
  camunda_error *error = NULL;
  CHECK_OK(camunda_object_set_object(object, "a", object, &error));
  CHECK_OK(camunda_object_append_object(object, "b", object, &error));
  CHECK_STR(camunda_object_json(object, NULL), "{\"a\":{},\"b\":[{\"a\":{}}]}");
  camunda_object_free(object);
}

static void append_fails_for_other_value_and_changes_nothing(void) {
  camunda_object *object = camunda_object_new();
  camunda_error *error = NULL;
  CHECK_OK(camunda_object_set_str(object, "a", "[]", &error));
  CHECK_FAILS(camunda_object_append_str(object, "a", "x", &error), CAMUNDA_STATUS_INVALID_ARGUMENT);
  CHECK_STR(camunda_error_message(error), "the value of a is not an array");
  camunda_error_free(error);
  CHECK_STR(camunda_object_json(object, NULL), "{\"a\":\"[]\"}");
  camunda_object_free(object);
}

static void object_is_empty_without_fields(void) {
  camunda_object *object = camunda_object_new();
  CHECK_STR(camunda_object_json(object, NULL), "{}");
  camunda_object_free(object);
  camunda_object_free(NULL);
}

static void strings_are_escaped_as_name_and_as_value(void) {
  const char *const texts[] = {"\"", "\\", "\n\r\t\b\f", "\x01\x1f\x7f", "\xc3\xa9\xf0\x9f\x98\x80",
                               "</script>", "\xe2\x80\xa8", "{\"a\":1}", ""};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
    camunda_object *object = camunda_object_new();
    camunda_error *error = NULL;
    CHECK_OK(camunda_object_set_str(object, texts[i], texts[i], &error));
    size_t length = 0;
    const char *json = camunda_object_json(object, &length);
    camunda_value *value = NULL;
    CHECK_OK(camunda_value_parse(json, length, &value, &error));
    CHECK_INT(camunda_value_len(value), 1);
    CHECK_STR(camunda_value_key(value, 0, NULL), texts[i]);
    CHECK_STR(camunda_value_str(camunda_value_at(value, 0), NULL), texts[i]);
    camunda_value_free(value);
    camunda_object_free(object);
  }
}

static void set_replaces_existing_field(void) {
  camunda_object *object = camunda_object_new();
  camunda_error *error = NULL;
  CHECK_OK(camunda_object_set_str(object, "a", "1", &error));
  CHECK_OK(camunda_object_set_str(object, "b", "2", &error));
  CHECK_OK(camunda_object_set_bool(object, "a", false, &error));
  camunda_value *value = NULL;
  size_t length = 0;
  const char *json = camunda_object_json(object, &length);
  CHECK_OK(camunda_value_parse(json, length, &value, &error));
  CHECK_INT(camunda_value_len(value), 2);
  CHECK_INT(camunda_value_kind(camunda_value_get(value, "a")), CAMUNDA_KIND_BOOL);
  camunda_value_free(value);
  camunda_object_free(object);
}

static void invalid_field_changes_nothing(void) {
  camunda_object *object = camunda_object_new();
  camunda_error *error = NULL;
  const char *const not_utf8[] = {"a", "\xff"};
  const char *const with_null[] = {"a", NULL};
  CHECK_OK(camunda_object_set_str(object, "a", "1", &error));
  CHECK_FAILS(camunda_object_set_str(object, "b", "\xc3", &error), CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  CHECK_FAILS(camunda_object_set_str(object, "\xff", "x", &error), CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  CHECK_FAILS(camunda_object_set_number(object, "b", (double)NAN, &error),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  CHECK_FAILS(camunda_object_set_number(object, "b", (double)INFINITY, &error),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  CHECK_FAILS(camunda_object_set_json(object, "b", "{", 1, &error), CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  CHECK_FAILS(camunda_object_set_strings(object, "b", not_utf8, 2, &error),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  CHECK_FAILS(camunda_object_set_strings(object, "b", with_null, 2, &error),
              CAMUNDA_STATUS_INVALID_ARGUMENT);
  FREE_ERROR(error);
  CHECK_STR(camunda_object_json(object, NULL), "{\"a\":\"1\"}");
  camunda_object_free(object);
}

int main(void) {
  RUN(object_encodes_every_type_of_field);
  RUN(object_nests_objects_and_arrays);
  RUN(object_contains_a_copy_of_itself);
  RUN(append_fails_for_other_value_and_changes_nothing);
  RUN(object_is_empty_without_fields);
  RUN(strings_are_escaped_as_name_and_as_value);
  RUN(set_replaces_existing_field);
  RUN(invalid_field_changes_nothing);
  return check_finish();
}
