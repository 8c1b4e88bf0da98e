/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Level 0 has a slot a tick, level 1 a slot for 64 ticks, and so on. A timer lies on the level of
 * its distance; when the wheel enters a block of a higher level, the timers filed under that block
 * are filed anew, closer. The wheel never steps through empty ticks: the bitmaps give the next tick
 * at which there is something to do, be it an expiry or a block to re-file, and the wheel jumps
 * there.
 *
 * A deadline that moves away leaves its timer where it lies: it is filed anew when the wheel gets
 * there. So those that are set again and again, and hardly ever expire, cost next to nothing.
 *
 * Between calls the level 0 slot of `tick` holds only what was filed for it and not taken yet; a
 * new deadline is at least one tick away and at most 63 on that level, so it never lands there.
 */
#include "core/engine/timer.h"

enum { LEVEL_BITS = 6, SLOT_MASK = TIMER_SLOTS - 1 };

static const int64_t reach_ticks = INT64_C(1) << (LEVEL_BITS * TIMER_LEVELS);

/* The first tick at which the deadline has passed. */
static int64_t tick_of_deadline(int64_t deadline_ns)
{
    return (deadline_ns - 1) / TIMER_TICK_NS + 1;
}

void timer_wheel_init(struct timer_wheel *wheel, int64_t now_ns)
{
    for (int level = 0; level < TIMER_LEVELS; level++) {
        for (int slot = 0; slot < TIMER_SLOTS; slot++) {
            list_init(&wheel->slots[level][slot]);
        }
        wheel->occupied[level] = 0;
    }
    wheel->tick = now_ns / TIMER_TICK_NS;
    wheel->count = 0;
}

void timer_init(struct timer *timer, struct actor *owner)
{
    list_init(&timer->link);
    timer->owner = owner;
    timer->deadline_ns = 0;
    timer->fired = false;
}

/* Puts a timer in the slot of `due`, which is wheel->tick or later. */
static void wheel_file(struct timer_wheel *wheel, struct timer *timer, int64_t due)
{
    int64_t distance = due - wheel->tick;
    int level = 0;

    if (distance >= reach_ticks) {
        distance = reach_ticks - 1;
        due = wheel->tick + distance;
    }
    while (distance >> (LEVEL_BITS * (level + 1)) != 0) {
        level++;
    }
    int slot = (int)(due >> (LEVEL_BITS * level)) & SLOT_MASK;
    list_push_back(&wheel->slots[level][slot], &timer->link);
    wheel->occupied[level] |= UINT64_C(1) << slot;
    timer->filed_tick = (uint32_t)due;
}

/* Takes a timer out of its slot. The slot's bit goes with its last timer. */
static void wheel_unfile(struct timer_wheel *wheel, struct timer *timer)
{
    struct list_node *head = timer->link.next;
    bool last = head == timer->link.prev && list_is_linked(&timer->link);

    list_remove(&timer->link);
    if (last) {
        /* The only neighbour of a single timer is the head of its slot. */
        size_t index = (size_t)(head - &wheel->slots[0][0]);
        ASSERT_SLOW(index < (size_t)TIMER_LEVELS * TIMER_SLOTS);
        wheel->occupied[index / TIMER_SLOTS] &= ~(UINT64_C(1) << (index % TIMER_SLOTS));
    }
}

/* The reach of the wheel is a small part of 2^32 ticks. */
static bool is_filed_by(const struct timer *timer, int64_t due)
{
    return (int32_t)((uint32_t)due - timer->filed_tick) >= 0;
}

void timer_set(struct timer_wheel *wheel, struct timer *timer, int64_t deadline_ns)
{
    bool was_set = timer->deadline_ns != 0;
    int64_t due;

    timer->fired = false;
    timer->deadline_ns = deadline_ns > 0 ? deadline_ns : 1;
    due = tick_of_deadline(timer->deadline_ns);
    due = due > wheel->tick ? due : wheel->tick + 1;
    if (was_set && is_filed_by(timer, due)) {
        return;
    }
    if (was_set) {
        wheel_unfile(wheel, timer);
    } else {
        wheel->count++;
    }
    wheel_file(wheel, timer, due);
}

void timer_clear(struct timer_wheel *wheel, struct timer *timer)
{
    timer->fired = false;
    if (timer->deadline_ns != 0) {
        timer->deadline_ns = 0;
        wheel_unfile(wheel, timer);
        ASSERT(wheel->count > 0);
        wheel->count--;
    }
}

/* The next tick after wheel->tick at which a slot expires or is re-filed, or -1. */
static int64_t wheel_next_tick(const struct timer_wheel *wheel)
{
    int64_t next = -1;

    for (int level = 0; level < TIMER_LEVELS; level++) {
        uint64_t bits = wheel->occupied[level];
        int64_t block = (wheel->tick >> (LEVEL_BITS * level)) + 1;
        unsigned turn = (unsigned)block & SLOT_MASK;
        if (bits == 0) {
            continue;
        }
        bits = turn ? bits >> turn | bits << (TIMER_SLOTS - turn) : bits;
        int64_t at = (block + __builtin_ctzll(bits)) << (LEVEL_BITS * level);
        if (next < 0 || at < next) {
            next = at;
        }
    }
    return next;
}

static bool wheel_has_due(const struct timer_wheel *wheel)
{
    return (wheel->occupied[0] >> (wheel->tick & SLOT_MASK) & 1) != 0;
}

int64_t timer_wheel_next(const struct timer_wheel *wheel, int64_t now_ns)
{
    int64_t wait_ns;

    if (wheel->count == 0) {
        return -1;
    }
    if (wheel_has_due(wheel)) {
        return 0;
    }
    wait_ns = wheel_next_tick(wheel) * TIMER_TICK_NS - now_ns;
    return wait_ns > 0 ? wait_ns : 0;
}

/* Files the timers of a block anew that the wheel has just entered. */
static void wheel_cascade(struct timer_wheel *wheel, int level)
{
    int slot = (int)(wheel->tick >> (LEVEL_BITS * level)) & SLOT_MASK;
    struct list_node *head = &wheel->slots[level][slot];
    struct list_node moved;
    struct list_node *node;

    if ((wheel->occupied[level] >> slot & 1) == 0) {
        return;
    }
    wheel->occupied[level] &= ~(UINT64_C(1) << slot);
    /* The whole chain to a head of its own: a far timer may be filed under the same slot again. */
    moved.next = head->next;
    moved.prev = head->prev;
    moved.next->prev = &moved;
    moved.prev->next = &moved;
    list_init(head);
    while ((node = list_pop_front(&moved))) {
        struct timer *timer = CONTAINER_OF(node, struct timer, link);
        int64_t due = tick_of_deadline(timer->deadline_ns);
        wheel_file(wheel, timer, due > wheel->tick ? due : wheel->tick);
    }
}

/* Moves on to the next tick with something due, at most to `now`. False: nothing is due. */
static bool wheel_advance(struct timer_wheel *wheel, int64_t now)
{
    while (!wheel_has_due(wheel)) {
        int64_t next = wheel_next_tick(wheel);
        if (next < 0 || next > now) {
            wheel->tick = now > wheel->tick ? now : wheel->tick;
            return false;
        }
        wheel->tick = next;
        for (int level = TIMER_LEVELS - 1; level > 0; level--) {
            if ((next & ((INT64_C(1) << (LEVEL_BITS * level)) - 1)) == 0) {
                wheel_cascade(wheel, level);
            }
        }
    }
    return true;
}

struct timer *timer_wheel_expire(struct timer_wheel *wheel, int64_t now_ns)
{
    while (wheel_advance(wheel, now_ns / TIMER_TICK_NS)) {
        struct list_node *head = &wheel->slots[0][wheel->tick & SLOT_MASK];
        struct timer *timer = CONTAINER_OF(head->next, struct timer, link);
        int64_t due = tick_of_deadline(timer->deadline_ns);
        if (due <= wheel->tick) {
            ASSERT_SLOW(timer->deadline_ns <= now_ns);
            timer_clear(wheel, timer);
            timer->fired = true;
            return timer;
        }
        wheel_unfile(wheel, timer);
        wheel_file(wheel, timer, due);
    }
    return NULL;
}
