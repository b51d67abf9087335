/* Which sanitizer a file is compiled with, spelled alike for gcc and clang. */
#ifndef COIL_PLATFORM_SANITIZER_H
#define COIL_PLATFORM_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__)
#define COIL__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COIL__ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define COIL__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COIL__TSAN 1
#endif
#endif

#if defined(COIL__ASAN) || defined(COIL__TSAN)
#define COIL__FIBER_ANNOTATED 1
#endif

/* For what must look at memory that the compiler calls dead. */
#ifdef COIL__ASAN
#define COIL__NO_ASAN __attribute__((no_sanitize("address")))
#else
#define COIL__NO_ASAN
#endif

#endif
