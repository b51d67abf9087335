# Two functions for everything that registers tests.

# The whole suite runs once per backend; COIL_BACKEND picks one by hand. io_uring is forbidden in many
# places: there its tests are skipped, and say why.
set(coil_all_backends epoll poll)
if(coil_with_uring)
    list(APPEND coil_all_backends io_uring)
endif()
set(COIL_TEST_BACKENDS "${coil_all_backends}" CACHE STRING "The backends that the suite runs on (a list)")
add_executable(coil_backend_probe ${PROJECT_SOURCE_DIR}/tests/backend_probe.c)
set_target_properties(coil_backend_probe PROPERTIES
    OUTPUT_NAME backend_probe
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests
)
target_link_libraries(coil_backend_probe PRIVATE coil_static)

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
        set(command ${ARGN})
        if(backend STREQUAL io_uring)
            set(command ${PROJECT_SOURCE_DIR}/tools/checks/where-possible
                ${COIL_TEST_LAUNCHER} $<TARGET_FILE:coil_backend_probe> -- ${ARGN})
        endif()
        coil_test(${name}.${backend} ${label} ${command})
        set_tests_properties(${name}.${backend} PROPERTIES SKIP_RETURN_CODE 77)
    endforeach()
endfunction()
