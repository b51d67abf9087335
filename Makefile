# The front door. CMake does the building; this knows which packages each job needs, and the few commands.
#
#   make demo                  make test                 make help
#   make test CC=clang         make install PREFIX=/usr DESTDIR=/tmp/stage
#
# BUILD is where things are built (build), JOBS how many at a time, WERROR=ON turns warnings into errors.

BUILD   ?= build
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX  ?= /usr/local
WERROR  ?= $(if $(CI),ON,OFF)
CMAKEFLAGS ?=

# make has a CC of its own; only one that somebody chose is passed on.
ifneq ($(origin CC),default)
    CHOSEN_CC := $(CC)
endif
export CC

packages    := tools/install-packages
build_needs := $(if $(CHOSEN_CC),$(filter gcc clang,$(CHOSEN_CC)),gcc) libc6-dev libssl-dev liburing-dev libdw-dev make cmake
test_needs  := $(build_needs) g++ pkgconf binutils libcmocka-dev

# $(call configure,DIR,OPTIONS): a CMake cache remembers its compiler; another one means starting afresh.
define configure
	@if [ -f $(1)/.compiler ] && [ "$$(cat $(1)/.compiler)" != "$(CHOSEN_CC)" ]; then \
	    cmake -E rm -rf $(1)/CMakeCache.txt $(1)/CMakeFiles; fi
	@mkdir -p $(1) && echo "$(CHOSEN_CC)" >$(1)/.compiler
	cmake -S . -B $(1) $(if $(CHOSEN_CC),-DCMAKE_C_COMPILER="$(CHOSEN_CC)") \
	    -DCOIL_WERROR=$(WERROR) $(2) $(CMAKEFLAGS)
endef

# $(call build,DIR,TARGETS): without make's own flags, which CMake's inner make would stumble over.
define build
	MAKEFLAGS=--no-print-directory cmake --build $(1) --parallel $(JOBS) $(if $(2),--target $(2))
endef

# $(call suite,DIR,CTEST-OPTIONS)
define suite
	ctest --test-dir $(1) --output-on-failure --no-tests=error -j $(JOBS) $(2)
endef

.NOTPARALLEL:
.PHONY: all help demo test bench bench-quick conformance check check-layers check-headers check-symbols \
	check-asan check-tsan check-valgrind check-lint check-ucontext check-release check-aarch64 \
	soak fuzz coverage format format-check install clean

all:
	@$(packages) $(build_needs)
	$(call configure,$(BUILD))
	$(call build,$(BUILD))

help:
	@echo 'make               build the library, the examples, the benchmarks and the tests'
	@echo 'make demo          three overlapping requests, step by step; writes demo-timeline.svg'
	@echo 'make test          build, and run every test'
	@echo 'make conformance   only the programs that must schedule as asyncio does'
	@echo 'make bench         measure (bench-quick: in a minute)'
	@echo 'make check         sanitizers, valgrind, static analysis, the other CPU, all checks below'
	@echo '  check-asan check-tsan check-valgrind check-lint check-ucontext check-release check-aarch64'
	@echo '  check-layers check-headers check-symbols format-check'
	@echo 'make soak          storms of cancellations and shuffled schedules, SOAK=100 of each'
	@echo 'make fuzz          foreign bytes for every parser, FUZZ_SECONDS=60 for each'
	@echo 'make coverage      lines that no test walks; COVER=src/io names them there, TESTS=regex runs a part'
	@echo 'make format        lay the sources out with clang-format'
	@echo 'make install       headers, libraries, coil.pc, CMake package; PREFIX=$(PREFIX) DESTDIR='
	@echo 'make clean         remove $(BUILD)'
	@echo
	@echo 'CC=clang picks the compiler, BUILD=dir the build directory. What a job needs from Debian is'
	@echo 'installed if you are root, and named if you are not.'

demo:
	@$(packages) $(build_needs)
	$(call configure,$(BUILD),-DCOIL_BUILD_EXAMPLES=ON)
	$(call build,$(BUILD),example_requests)
	$(BUILD)/examples/requests

test:
	@$(packages) $(test_needs)
	$(call configure,$(BUILD),-DCOIL_BUILD_TESTS=ON -DCOIL_BUILD_EXAMPLES=ON -DCOIL_BUILD_BENCH=ON)
	$(call build,$(BUILD))
	$(call suite,$(BUILD))

conformance:
	@$(packages) $(build_needs)
	$(call configure,$(BUILD))
	$(call build,$(BUILD),conformance)
	@tools/checks/conformance $(BUILD)

# Measured, and installed, is a build of its own: the same optimisation, without the assertions.
release := $(BUILD)/release
release_options := -DCMAKE_BUILD_TYPE=Release -DCOIL_BUILD_TESTS=OFF -DCOIL_BUILD_EXAMPLES=OFF

bench bench-quick:
	@$(packages) $(build_needs)
	@$(packages) --optional libuv1-dev libev-dev libst-dev
	$(call configure,$(release),$(release_options) -DCOIL_BUILD_BENCH=ON)
	$(call build,$(release),bench_programs)
	COIL_BENCH_DIR=$(abspath $(release))/bench bench/$(if $(filter bench,$@),run,quick)

install:
	@$(packages) $(build_needs)
	$(call configure,$(release),$(release_options) -DCOIL_BUILD_BENCH=OFF -DCMAKE_INSTALL_PREFIX=$(PREFIX))
	$(call build,$(release))
	DESTDIR=$(DESTDIR) cmake --install $(release)
	@# The loader finds a new library in its own directories only after this.
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ] && command -v ldconfig >/dev/null; then ldconfig; fi

clean:
	rm -rf $(BUILD)

# ---- Checks ---------------------------------------------------------------------------------------

check: check-layers check-headers check-symbols format-check check-lint check-asan check-tsan \
	check-valgrind check-ucontext check-release check-aarch64
	@echo 'make check: everything passed'

check-layers:
	@tools/checks/layers

check-headers:
	@$(packages) gcc g++ libc6-dev
	@env -u CC -u CXX tools/checks/headers

check-symbols:
	@$(packages) $(build_needs) binutils
	$(call configure,$(BUILD))
	$(call build,$(BUILD),coil coil_static)
	@tools/checks/symbols $(BUILD)

# $(call variant,NAME,CONFIGURE-OPTIONS,CTEST-OPTIONS): the suite, in a build directory of its own.
define variant
	@$(packages) $(test_needs)
	$(call configure,$(BUILD)/$(1),-DCOIL_BUILD_TESTS=ON $(2))
	$(call build,$(BUILD)/$(1))
	$(call suite,$(BUILD)/$(1),$(3))
endef

check-asan:
	$(call variant,asan,-DCOIL_SANITIZE=address\;undefined)

# ThreadSanitizer of this age cannot live with the address randomisation of some newer kernels.
no_randomisation := $(shell [ "$$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ] && \
	setarch -R true 2>/dev/null && echo '-DCOIL_TEST_LAUNCHER=setarch\;-R')
check-tsan:
	$(call variant,tsan,-DCOIL_SANITIZE=thread $(no_randomisation))

# The stress programs take minutes under valgrind and show it nothing that the others do not.
memcheck := valgrind\;-q\;--error-exitcode=99\;--leak-check=full\;--errors-for-leak-kinds=definite\;--fair-sched=yes
check-valgrind:
	@$(packages) valgrind
	$(call variant,valgrind,-DCOIL_TEST_LAUNCHER=$(memcheck),-LE stress)

check-ucontext:
	$(call variant,ucontext,-DCOIL_USE_UCONTEXT=ON,-LE build)

check-release:
	$(call variant,ndebug,-DCMAKE_BUILD_TYPE=Release,-LE build)

check-aarch64:
	@$(packages) make cmake gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
	env -u CC tools/checks/aarch64 $(BUILD)/aarch64

check-lint:
	@$(packages) $(build_needs) clang-tidy cppcheck
	$(call configure,$(BUILD))
	@tools/checks/lint $(BUILD)

# ---- Layout ---------------------------------------------------------------------------------------

formatted = $(shell find include src tests examples bench conformance -name '*.[ch]')

# Storms of cancellations and shuffled schedules, many seeds of each: SOAK=100 takes some minutes.
SOAK ?= 100
soak:
	@$(packages) $(test_needs)
	$(call configure,$(BUILD),-DCOIL_BUILD_TESTS=ON)
	$(call build,$(BUILD))
	COIL_SOAK=$(SOAK) $(call suite,$(BUILD),-L stress --timeout 3600)

# Each target looks for bytes that break it, begins with what it found the last time, and keeps that in
# $(BUILD)/fuzz/found. A file that breaks one lies in $(BUILD)/fuzz; tests/fuzz/corpus is where it goes then.
FUZZ_SECONDS ?= 60
FUZZ         ?= $(sort $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
fuzz: CHOSEN_CC := clang
fuzz: export CC := clang
fuzz:
	@$(packages) clang libclang-rt-14-dev libc6-dev libssl-dev liburing-dev make cmake
	$(call configure,$(BUILD)/fuzz,-DCOIL_SANITIZE=fuzzer-no-link\;address\;undefined -DCOIL_BUILD_TESTS=AUTO \
	    -DCOIL_BUILD_EXAMPLES=OFF -DCOIL_BUILD_BENCH=OFF)
	$(call build,$(BUILD)/fuzz,fuzz_targets)
	@set -e; for name in $(FUZZ); do \
	    echo "fuzz $$name: $(FUZZ_SECONDS) seconds"; \
	    mkdir -p $(BUILD)/fuzz/found/$$name; \
	    $(BUILD)/fuzz/tests/fuzz/fuzz_$$name -max_total_time=$(FUZZ_SECONDS) -timeout=20 -max_len=1000 \
	        -verbosity=0 -print_final_stats=1 -artifact_prefix=$(BUILD)/fuzz/$$name- \
	        $(BUILD)/fuzz/found/$$name tests/fuzz/corpus/$$name; \
	done

# COVER names folders whose lines are listed, TESTS the tests that run.
COVER ?= src
TESTS ?= .
coverage:
	@$(packages) $(test_needs)
	$(call configure,$(BUILD)/coverage,-DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=--coverage -DCOIL_BUILD_TESTS=ON \
	    -DCOIL_BUILD_EXAMPLES=ON -DCOIL_BUILD_BENCH=OFF)
	$(call build,$(BUILD)/coverage)
	@find $(BUILD)/coverage -name '*.gcda' -delete
	$(call suite,$(BUILD)/coverage,-LE build -R '$(TESTS)')
	@GCOV="$(if $(findstring clang,$(CHOSEN_CC)),llvm-cov gcov,gcov)" tools/coverage $(BUILD)/coverage $(COVER)

format:
	@$(packages) clang-format
	@clang-format -i $(formatted)

format-check:
	@$(packages) clang-format
	@clang-format --dry-run -Werror $(formatted) && echo 'format: as clang-format has it'
