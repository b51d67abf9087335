# Two functions for everything that registers tests.

# The whole suite runs once per backend; COIL_BACKEND picks one by hand.
set(COIL_TEST_BACKENDS epoll poll)

# Generous: a test that hangs should be told from a machine that is busy.
set(coil_test_timeout 60)
if(COIL_SANITIZE OR COIL_TEST_LAUNCHER)
    set(coil_test_timeout 180)
endif()

set(coil_test_environment
    "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:$ENV{ASAN_OPTIONS}"
    "UBSAN_OPTIONS=print_stacktrace=1:$ENV{UBSAN_OPTIONS}"
    "TSAN_OPTIONS=second_deadlock_stack=1:$ENV{TSAN_OPTIONS}"
)

# coil_test(NAME LABEL COMMAND...): one test with our timeout, label and environment. Variables that
# the caller sets in coil_test_extra_environment are added.
function(coil_test name label)
    add_test(NAME ${name} COMMAND ${ARGN})
    set_tests_properties(${name} PROPERTIES
        LABELS ${label}
        TIMEOUT ${coil_test_timeout}
        ENVIRONMENT "${coil_test_environment};${coil_test_extra_environment}"
    )
endfunction()

# coil_test_per_backend(NAME LABEL COMMAND...): the same once per backend, as NAME.BACKEND.
function(coil_test_per_backend name label)
    foreach(backend IN LISTS COIL_TEST_BACKENDS)
        set(coil_test_extra_environment COIL_BACKEND=${backend})
        coil_test(${name}.${backend} ${label} ${ARGN})
    endforeach()
endfunction()
