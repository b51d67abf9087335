#include "test.h"

#include <coil/testing.h>

#include "trace/task_table.h"

enum {
    TASKS = 1000,
};

/* Addresses are all that the table looks at. Spaced like tasks from a slab. */
static const coil_task *task_at(size_t index)
{
    return (const coil_task *)(uintptr_t)(0x7f0000000000 + index * 192);
}

TEST(finds_what_was_put)
{
    struct coil__task_table table = { 0 };
    EXPECT_PTR(coil__task_table_find(&table, task_at(0)), NULL);
    for (size_t i = 0; i < TASKS; i++) {
        uint64_t *number = coil__task_table_put(&table, task_at(i));
        REQUIRE(number);
        EXPECT_INT(*number, 0);
        *number = i + 1;
    }
    for (size_t i = 0; i < TASKS; i++) {
        uint64_t *number = coil__task_table_find(&table, task_at(i));
        REQUIRE(number);
        EXPECT_INT(*number, i + 1);
        EXPECT_PTR(coil__task_table_put(&table, task_at(i)), number);
    }
    EXPECT_INT(table.count, TASKS);
    coil__task_table_fini(&table);
    EXPECT_INT(table.count, 0);
}

TEST(removing_loses_no_other_entry)
{
    /* Entries behind a gap must stay reachable: remove in an order that makes gaps everywhere. */
    struct coil__task_table table = { 0 };
    for (size_t i = 0; i < TASKS; i++)
        *coil__task_table_put(&table, task_at(i)) = i;
    for (size_t step = 0; step < TASKS; step++) {
        size_t gone = step * 7 % TASKS;
        coil__task_table_remove(&table, task_at(gone));
        coil__task_table_remove(&table, task_at(gone));
        EXPECT_PTR(coil__task_table_find(&table, task_at(gone)), NULL);
        for (size_t later = step + 1; later < TASKS; later += 13) {
            uint64_t *number = coil__task_table_find(&table, task_at(later * 7 % TASKS));
            REQUIRE(number);
            EXPECT_INT(*number, later * 7 % TASKS);
        }
    }
    EXPECT_INT(table.count, 0);
    coil__task_table_fini(&table);
}

TEST(does_not_grow_while_tasks_come_and_go)
{
    struct coil__task_table table = { 0 };
    for (size_t i = 0; i < 100 * TASKS; i++) {
        REQUIRE(coil__task_table_put(&table, task_at(i)));
        if (i >= 10)
            coil__task_table_remove(&table, task_at(i - 10));
    }
    EXPECT_INT(table.count, 10);
    EXPECT(table.room <= 64);
    coil__task_table_fini(&table);
}

TEST(survives_every_failed_allocation)
{
    size_t before = coil_testing_alloc_count();
    for (long nth = 1;; nth++) {
        struct coil__task_table table = { 0 };
        size_t put = 0;
        coil_testing_fail_alloc(nth);
        while (put < TASKS && coil__task_table_put(&table, task_at(put)))
            put++;
        bool failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(table.count, put);
        EXPECT(failed == (put < TASKS));
        for (size_t i = 0; i < put; i++)
            EXPECT(coil__task_table_find(&table, task_at(i)));
        coil__task_table_fini(&table);
        EXPECT_INT(coil_testing_alloc_count(), before);
        if (!failed)
            break;
    }
}

TESTS_MAIN(RUN(finds_what_was_put), RUN(removing_loses_no_other_entry),
           RUN(does_not_grow_while_tasks_come_and_go), RUN(survives_every_failed_allocation))
