#include <camunda_admin.h>

int main(void) { return camunda_abi_version() == CAMUNDA_ABI_VERSION ? 0 : 1; }
