#include "base/thread.h"

__thread struct coil__thread coil__thread __attribute__((tls_model("initial-exec")));
