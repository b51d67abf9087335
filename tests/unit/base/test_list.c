/* Rings through the members: order, removal at every place, and what a member outside says. */
#include "test.h"

#include "base/list.h"

struct item {
    int number;
    struct coil__link link;
};

static int number_of(const struct coil__link *link)
{
    return ((const struct item *)(const void *)((const char *)link - offsetof(struct item, link)))
        ->number;
}

/* The numbers in a list, as digits, forwards and then backwards: "123/321". */
static const char *text_of(const struct coil__link *list)
{
    static char text[64];
    char *at = text;
    for (const struct coil__link *link = list->next; link != list; link = link->next)
        *at++ = (char)('0' + number_of(link));
    *at++ = '/';
    for (const struct coil__link *link = list->prev; link != list; link = link->prev)
        *at++ = (char)('0' + number_of(link));
    *at = '\0';
    return text;
}

TEST(new_list_is_empty)
{
    struct coil__link list;
    coil__list_init(&list);
    EXPECT(coil__list_empty(&list));
    EXPECT_STR(text_of(&list), "/");
}

TEST(appended_members_keep_their_order)
{
    struct coil__link list;
    struct item items[3] = { { .number = 1 }, { .number = 2 }, { .number = 3 } };
    coil__list_init(&list);
    for (int i = 0; i < 3; i++)
        coil__list_append(&list, &items[i].link);
    EXPECT(!coil__list_empty(&list));
    EXPECT_STR(text_of(&list), "123/321");
}

TEST(members_leave_from_every_place)
{
    /* First, middle, last and only: the four cases that a hand-written list gets wrong. */
    static const struct {
        int leaves;
        const char *rest;
    } cases[] = { { 0, "23/32" }, { 1, "13/31" }, { 2, "12/21" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct coil__link list;
        struct item items[3] = { { .number = 1 }, { .number = 2 }, { .number = 3 } };
        coil__list_init(&list);
        for (int j = 0; j < 3; j++)
            coil__list_append(&list, &items[j].link);
        coil__list_remove(&items[cases[i].leaves].link);
        EXPECT_STR(text_of(&list), cases[i].rest);
        for (int j = 0; j < 3; j++)
            if (coil__list_linked(&items[j].link))
                coil__list_remove(&items[j].link);
        EXPECT(coil__list_empty(&list));
    }
}

TEST(member_says_whether_it_is_linked)
{
    /* Waits ask this to find out whether anything is left to take back. */
    struct coil__link list;
    struct item item = { .number = 1 };
    coil__list_init(&list);
    EXPECT(!coil__list_linked(&item.link));
    coil__list_append(&list, &item.link);
    EXPECT(coil__list_linked(&item.link));
    coil__list_remove(&item.link);
    EXPECT(!coil__list_linked(&item.link));
    coil__list_append(&list, &item.link);
    EXPECT_STR(text_of(&list), "1/1");
}

TESTS_MAIN(RUN(new_list_is_empty), RUN(appended_members_keep_their_order),
           RUN(members_leave_from_every_place), RUN(member_says_whether_it_is_linked))
