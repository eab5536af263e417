#include <camunda_admin.hpp>

int main() { return camunda::Value::parse("[1]")[0].integer() == 1 ? 0 : 1; }
