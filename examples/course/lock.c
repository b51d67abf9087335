/* To see: without the lock a deposit gets lost between reading and writing; with it, none does. */
#include "course.h"

struct account {
    coil_lock lock;
    int balance;
};

static int deposit(struct account *account, int amount)
{
    int before = account->balance;
    int rc = coil_sleep(1); /* somebody is asked, and others run meanwhile */
    if (rc == 0)
        account->balance = before + amount;
    return rc;
}

COIL_ASYNC(careless, (struct account *, account), (int, amount))
{
    COIL_TRY(deposit(account, amount));
    say("deposited %d, balance %d", amount, account->balance);
    return 0;
}

COIL_ASYNC(careful, (struct account *, account), (int, amount))
{
    COIL_TRY(coil_lock_acquire(&account->lock));
    int rc = deposit(account, amount); /* no COIL_TRY: the lock is given back on every way out */
    coil_lock_release(&account->lock);
    if (rc == 0)
        say("deposited %d, balance %d", amount, account->balance);
    return rc;
}

COIL_ASYNC0(amain)
{
    /* static: gather ends with the first error, and the other deposit would go on without us. */
    static struct account account = { COIL_LOCK_INIT, 0 };
    say("without the lock");
    COIL_TRY(coil_gather(NULL, careless(&account, 10), careless(&account, 20)));

    account.balance = 0;
    say("with the lock");
    COIL_TRY(coil_gather(NULL, careful(&account, 10), careful(&account, 20)));
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    return course_main(argc, amain());
}
