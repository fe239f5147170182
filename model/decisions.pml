/* How a cluster decides: founding by consensus, gifts of ranges, removal of a peer and the taking of its ranges.
 * Words and rules: docs/ipam.md, docs/decisions/0008. What is left out, and why that is enough: README.md here.
 *
 * Peers 0..2 are three hosts launched with --ipalloc-init consensus=3. Peer 3 is what the host of a lost disk (or of a
 * removed peer) becomes: a newcomer with a name of its own. Every step below is one call of the core: it changes memory,
 * persists, then sends. A message once sent stays in the network for ever, and whoever may read it reads it at any time,
 * any number of times, or never: that is loss, duplication, delay and reordering.
 *
 * Mutations (-D): NO_OWNER_CHECK NO_VOTER_CHECK SEND_BEFORE_PERSIST AMNESIAC_VOTES NO_FENCE NO_EPOCH_CHECK NO_LIST_CHECK.
 * WITNESS makes a run fail that reaches the end of the story, so that silence cannot mean that nothing happened.
 */
#ifndef STAGE
#define STAGE 3            /* 1: votes of the founding; 2: votes of the removal; 3: the ring through both */
#endif
#ifndef GIFTS
#define GIFTS 2            /* gifts in all */
#endif
#ifndef DISKS
#define DISKS 1            /* disks lost in all */
#endif

#define PEERS 4
#define NEW 3              /* the newcomer */
#define POS 2              /* positions of the ring */

/* A ring entry (epoch it was made in, version, owner) as one number, so that > is the order of the merge. */
#define ENTRY(e, v, o) ((e) * 16 + (v) * 4 + (o))
#define MADE(x) ((x) / 16)
#define VER(x) (((x) / 4) % 4)
#define OWNER(x) ((x) % 4)
#define RING(p, s) ring[(p) * POS + (s)]
#define BIT(i) (1 << (i))
#define INSTANCE(k, b) ((k) * 2 + (b)) /* decision k leads from epoch k to epoch k+1; ballots 0 and 1 */

/* Memory of the peers, and what of it is on disk. */
byte epoch[PEERS], depoch[PEERS];
byte promised[PEERS], dpromised[PEERS]; /* of the decision on the next epoch: ballot + 1 */
byte accepted[PEERS], daccepted[PEERS];
byte ring[8], dring[8];
byte gone = BIT(NEW);                   /* lost its disk, learnt its removal, or not born yet */

/* The network. */
byte prepare[4];                        /* proposer + 1 */
byte promise[16];                       /* per instance and voter: 1 + ballot accepted before, + 1 */
byte proposal[4];                       /* the value, never 0 */
byte votes[4];                          /* set of voters that accepted */
byte configuration[2];                  /* the decided values, as told by those who counted the votes */
int entries[4];                         /* per epoch of the frame and position: set of ring entries */
byte answers;                           /* set of peers that acknowledged the removal to the heir */

/* Bounds, and what the checks remember. */
byte gifts, disks;
byte lostName;                          /* whose disk was lost, + 1 */
byte i, j, y;                           /* scratch inside d_step; always 0 outside */

/* Value of the founding: the set of founders, who are the voters of epoch 1. Value of the removal: */
#define REMOVAL(victim, heir, listed) (32 + (listed) * 16 + (heir) * 4 + (victim))
#define VICTIM (configuration[1] % 4)
#define HEIR ((configuration[1] / 4) % 4)
#define LISTED ((configuration[1] / 16) % 2)
/* Members of the newest epoch decided: all of those who stay; the newcomer if it was listed or came afterwards. */
#define MEMBER(p) (configuration[1] == 0 || (p != VICTIM && (p != NEW || LISTED || epoch[NEW] != 1)))
/* An entry of an earlier epoch whose owner does not stay by name: it belongs to the heir, once all have acknowledged. */
#define STALE(x) (MADE(x) < 2 && (OWNER(x) == VICTIM || (OWNER(x) == NEW && !LISTED)))
#define OWNS(p, s) (OWNER(RING(p, s)) == p && !(epoch[p] == 2 && STALE(RING(p, s))))
#define ALIVE(p) ((gone & BIT(p)) == 0)
#define GREATER(a, b) ((a) > (b) -> (a) : (b))
#define SENT(k, s, e) entries[((k) - 1) * POS + (s)] = entries[((k) - 1) * POS + (s)] | (1 << ((e) - 16))

#ifdef SEND_BEFORE_PERSIST
#define PERSIST(p) skip
#else
#define PERSIST(p) save(p)
#endif

#ifdef WITNESS
#define WITNESSED(end) assert(!(end))
#else
#define WITNESSED(end) skip
#endif

inline save(p) {
  depoch[p] = epoch[p]; dpromised[p] = promised[p]; daccepted[p] = accepted[p];
  dring[p * POS] = ring[p * POS]; dring[p * POS + 1] = ring[p * POS + 1]
}

/* Whose votes count. */
#ifdef NO_VOTER_CHECK
#define VOTER(k, p) true
#else
#define VOTER(k, p) (p != NEW && (k == 0 || (configuration[0] & BIT(p))))
#endif
#ifdef AMNESIAC_VOTES
#define MAYVOTE(k, p) (VOTER(k, p) || (p == NEW && lostName != 0 && VOTER(k, lostName - 1)))
#define VOTES_AS(p) (p == NEW -> lostName - 1 : p)
#else
#define MAYVOTE(k, p) VOTER(k, p)
#define VOTES_AS(p) p
#endif

#define SIZE(m) (((m) & 1) + (((m) / 2) & 1) + (((m) / 4) & 1) + (((m) / 8) & 1))
/* More than half: of consensus=3, or of the voters of epoch 1. */
#define QUORUM(k) (k == 0 || SIZE(configuration[0]) > 1 -> 2 : 1)
#define DECIDED(k, b) (proposal[INSTANCE(k, b)] != 0 && SIZE(votes[INSTANCE(k, b)]) >= QUORUM(k))

/* Messages nobody can act upon any more are forgotten, so that histories that differ in them alone are one. */
inline forget() {
  i = 0;
  do
  :: i < 4 ->
     if
     :: prepare[i] != 0 && (proposal[i] != 0 || !ALIVE(prepare[i] - 1) || epoch[prepare[i] - 1] != i / 2) ->
        promise[i * 4] = 0; promise[i * 4 + 1] = 0; promise[i * 4 + 2] = 0; promise[i * 4 + 3] = 0
     :: else
     fi;
     i++
  :: else -> break
  od;
  if
  :: configuration[0] != 0 && (epoch[0] > 0 || !ALIVE(0)) && (epoch[1] > 0 || !ALIVE(1)) && (epoch[2] > 0 || !ALIVE(2)) ->
     prepare[0] = 0; prepare[1] = 0; proposal[0] = 0; proposal[1] = 0; votes[0] = 0; votes[1] = 0
  :: else
  fi;
  if
  :: configuration[1] != 0 && (epoch[0] > 1 || !ALIVE(0)) && (epoch[1] > 1 || !ALIVE(1)) && (epoch[2] > 1 || !ALIVE(2)) &&
     (epoch[3] > 1 || !ALIVE(3)) ->
     prepare[2] = 0; prepare[3] = 0; proposal[2] = 0; proposal[3] = 0; votes[2] = 0; votes[3] = 0
  :: else
  fi;
  i = 0
}

/* At most one decision per epoch; no position with two owners among the members, whatever epochs they know of. */
inline check() {
  assert(!(DECIDED(0, 0) && DECIDED(0, 1) && proposal[0] != proposal[1]));
  assert(!(DECIDED(1, 0) && DECIDED(1, 1) && proposal[2] != proposal[3]));
  i = 0;
  do
  :: i < POS ->
     y = 0; j = 0;
     do
     :: j < PEERS ->
        if
        :: ALIVE(j) && epoch[j] > 0 && RING(j, i) != 0 && OWNS(j, i) && MEMBER(j) -> y++
        :: else
        fi;
        j++
     :: else -> break
     od;
     assert(y <= 1);
     i++
  :: else -> break
  od;
  i = 0; j = 0; y = 0
}

/* The universe as founded: the first position to the first founder, the second to the last. */
#define FIRST(m) ((m) & 1 -> 0 : ((m) & 2 -> 1 : 2))
#define LAST(m) ((m) & 4 -> 2 : ((m) & 2 -> 1 : 0))

inline adopt(p, k) {
  if
  :: k == 1 && (p == VICTIM || (p == NEW && !LISTED && epoch[p] == 1)) ->
#ifdef NO_LIST_CHECK
     if
     :: p == NEW -> epoch[p] = 2; promised[p] = 0; accepted[p] = 0;
        SENT(2, 0, RING(p, 0)); SENT(2, 1, RING(p, 1)); PERSIST(p)
     :: else -> leave(p)
     fi
#else
     leave(p)
#endif
  :: else ->
     if
     :: RING(p, 0) == 0 ->
        RING(p, 0) = ENTRY(1, 1, FIRST(configuration[0]));
        RING(p, 1) = ENTRY(1, 1, LAST(configuration[0]))
     :: else
     fi;
     epoch[p] = k + 1; promised[p] = 0; accepted[p] = 0;
     PERSIST(p);
     SENT(k + 1, 0, RING(p, 0));
     SENT(k + 1, 1, RING(p, 1))
  fi
}

/* It goes, and its host comes back as the newcomer, once. */
inline leave(p) {
  gone = gone | BIT(p);
  if
  :: lostName == 0 && p != NEW -> lostName = p + 1; gone = gone & ~BIT(NEW)
  :: else
  fi;
  epoch[p] = 0; promised[p] = 0; accepted[p] = 0; RING(p, 0) = 0; RING(p, 1) = 0;
  save(p)
}

/* --- proposing --- */

#define PREPARE(p, k, b)                                                                                     \
  :: d_step {                                                                                                \
       ALIVE(p) && epoch[p] == k && prepare[INSTANCE(k, b)] == 0 && promised[p] <= b &&                      \
       (b == 0 || prepare[INSTANCE(k, 0)] != p + 1) ->                                                       \
       prepare[INSTANCE(k, b)] = p + 1                                                                       \
     }

/* Promises of the set Q reached the proposer. */
#define HAS(k, b, Q)                                                                                         \
  (((Q & 1) == 0 || promise[INSTANCE(k, b) * 4]) && ((Q & 2) == 0 || promise[INSTANCE(k, b) * 4 + 1]) &&     \
   ((Q & 4) == 0 || promise[INSTANCE(k, b) * 4 + 2]) && ((Q & 8) == 0 || promise[INSTANCE(k, b) * 4 + 3]))
/* Somebody among them accepted the lesser ballot. */
#define BOUND(k, b, Q)                                                                                       \
  (((Q & 1) && promise[INSTANCE(k, b) * 4] == 2) || ((Q & 2) && promise[INSTANCE(k, b) * 4 + 1] == 2) ||     \
   ((Q & 4) && promise[INSTANCE(k, b) * 4 + 2] == 2) || ((Q & 8) && promise[INSTANCE(k, b) * 4 + 3] == 2))
#define READY(p, k, b, Q)                                                                                    \
  (ALIVE(p) && epoch[p] == k && prepare[INSTANCE(k, b)] == p + 1 && proposal[INSTANCE(k, b)] == 0 &&         \
   promised[p] <= b + 1 && HAS(k, b, Q))

#define PROPOSE_FOUNDING(p, b, Q)                                                                            \
  :: d_step { READY(p, 0, b, Q) -> proposal[b] = (BOUND(0, b, Q) -> proposal[0] : (Q & 7)) }

#if defined(NO_VOTER_CHECK)
#define SOME(M, k, b) (M(k, b, 3) || M(k, b, 5) || M(k, b, 6) || M(k, b, 9) || M(k, b, 10) || M(k, b, 12) ||      \
  (QUORUM(k) == 1 && (M(k, b, 1) || M(k, b, 2) || M(k, b, 4) || M(k, b, 8))))
#define QUORUMS(M, p, b) M(p, b, 3) M(p, b, 5) M(p, b, 6) M(p, b, 7) M(p, b, 9) M(p, b, 10) M(p, b, 12)
#else
#define SOME(M, k, b) (M(k, b, 3) || M(k, b, 5) || M(k, b, 6) || (QUORUM(k) == 1 && M(k, b, 1)))
#define QUORUMS(M, p, b) M(p, b, 3) M(p, b, 5) M(p, b, 6) M(p, b, 7)
#endif
#define HAS_BOUND(k, b, Q) (HAS(k, b, Q) && BOUND(k, b, Q))
#define HAS_FREE(k, b, Q) (HAS(k, b, Q) && !BOUND(k, b, Q))

#define PROPOSE_BOUND(p, b)                                                                                  \
  :: d_step { READY(p, 1, b, 0) && SOME(HAS_BOUND, 1, b) -> proposal[2 + b] = proposal[2] }

#define PROPOSE_REMOVAL(p, b, victim)                                                                        \
  :: d_step { p != victim && READY(p, 1, b, 0) && SOME(HAS_FREE, 1, b) ->                                    \
       proposal[2 + b] = REMOVAL(victim, p, p == NEW) }                                            \
  :: d_step { p != victim && p != NEW && epoch[NEW] == 1 && READY(p, 1, b, 0) && SOME(HAS_FREE, 1, b) ->     \
       proposal[2 + b] = REMOVAL(victim, p, 1) }

/* --- voting --- */

#define PROMISE(p, k, b)                                                                                     \
  :: d_step {                                                                                                \
       ALIVE(p) && MAYVOTE(k, p) && epoch[p] == k && prepare[INSTANCE(k, b)] != 0 && promised[p] < b + 1 ->  \
       promised[p] = b + 1; PERSIST(p);                                                                      \
       promise[INSTANCE(k, b) * 4 + VOTES_AS(p)] = 1 + accepted[p]                                                                                              \
     }

#define ACCEPT(p, k, b)                                                                                      \
  :: d_step {                                                                                                \
       ALIVE(p) && MAYVOTE(k, p) && epoch[p] == k && proposal[INSTANCE(k, b)] != 0 &&                        \
       promised[p] <= b + 1 && accepted[p] < b + 1 ->                                                        \
       promised[p] = b + 1; accepted[p] = b + 1; PERSIST(p);                                                 \
       votes[INSTANCE(k, b)] = votes[INSTANCE(k, b)] | BIT(VOTES_AS(p))                                                                                               \
     }

/* --- learning --- */

/* The proposer counts the votes. */
#define LEARN(p, k, b)                                                                                       \
  :: d_step {                                                                                                \
       ALIVE(p) && epoch[p] == k && prepare[INSTANCE(k, b)] == p + 1 && DECIDED(k, b) ->                     \
       assert(configuration[k] == 0 || configuration[k] == proposal[INSTANCE(k, b)]);                        \
       WITNESSED(b == 1 && proposal[INSTANCE(k, 0)] != 0 && disks == DISKS);                                 \
       configuration[k] = proposal[INSTANCE(k, b)];                                                          \
       adopt(p, k)                                                                                               \
     }

/* What stage 2 shows to happen once at most. */
#define DECIDE(p, victim)                                                                                    \
  :: d_step { ALIVE(p) && epoch[p] == 1 && p != victim && configuration[1] == 0 ->                           \
       configuration[1] = REMOVAL(victim, p, p == NEW) }                                                     \
  :: d_step { ALIVE(p) && epoch[p] == 1 && p != victim && configuration[1] == 0 && p != NEW &&               \
       epoch[NEW] == 1 -> configuration[1] = REMOVAL(victim, p, 1) }

#define HEAR_CONFIGURATION(p, k)                                                                             \
  :: d_step { ALIVE(p) && epoch[p] == k && configuration[k] != 0 -> adopt(p, k) }

/* --- the ring --- */

/* Whatever was sent in a frame of our epoch and is greater than what we have. */
#ifdef NO_EPOCH_CHECK
#define HEARABLE(p, s) (entries[s] | entries[POS + s])
#else
#define HEARABLE(p, s) entries[(epoch[p] - 1) * POS + s]
#endif
/* Hearing never takes a position from a member: only it gives away, and decisions overrule only those who are none. */
#define HEAR_ENTRY(p, s, e, v, o)                                                                            \
  :: d_step { ALIVE(p) && epoch[p] > 0 && (HEARABLE(p, s) & (1 << (ENTRY(e, v, o) - 16))) &&                 \
       ENTRY(e, v, o) > RING(p, s) ->                                                                        \
       assert(!(OWNS(p, s) && MEMBER(p)));                                                                   \
       RING(p, s) = ENTRY(e, v, o); PERSIST(p); SENT(epoch[p], s, ENTRY(e, v, o)) }
#define HEAR_VERSIONS(p, s, e, o) HEAR_ENTRY(p, s, e, 1, o) HEAR_ENTRY(p, s, e, 2, o) HEAR_ENTRY(p, s, e, 3, o)
#define HEAR_OWNERS(p, s, e)                                                                                 \
  HEAR_VERSIONS(p, s, e, 0) HEAR_VERSIONS(p, s, e, 1) HEAR_VERSIONS(p, s, e, 2) HEAR_VERSIONS(p, s, e, 3)
#define HEAR_ENTRIES(p, s) HEAR_OWNERS(p, s, 1) HEAR_OWNERS(p, s, 2)

#ifdef NO_OWNER_CHECK
#define MAYGIVE(p, s) true
#else
#define MAYGIVE(p, s) OWNS(p, s)
#endif
/* A gift answers a request, which names the epoch of who asks: none goes to who has not joined, or is no member. */
#define GIVE(p, s, q)                                                                                        \
  :: d_step {                                                                                                \
       gifts < GIFTS && p != q && ALIVE(p) && ALIVE(q) && epoch[p] > 0 && epoch[q] >= epoch[p] && MAYGIVE(p, s) && \
       VER(RING(p, s)) < 3 ->                                                                                \
       gifts++;                                                                                              \
       RING(p, s) = ENTRY(epoch[p], VER(RING(p, s)) + 1, q);                                                 \
       PERSIST(p);                                                                                           \
       SENT(epoch[p], s, RING(p, s))                                                                                               \
     }

/* --- taking the ranges of those who are no members --- */

/* A peer answers the heir with its ring, and the heir merges it. One step: had the heir merged it later, it would have
 * done the same in between, only taking nothing yet. */
#define ACKNOWLEDGE(p)                                                                                       \
  :: d_step {                                                                                                \
       ALIVE(p) && epoch[p] == 2 && (answers & BIT(p)) == 0 && HEIR != p && ALIVE(HEIR) && epoch[HEIR] == 2 -> \
       answers = answers | BIT(p);                                                                           \
       RING(HEIR, 0) = GREATER(RING(HEIR, 0), RING(p, 0));                                                   \
       RING(HEIR, 1) = GREATER(RING(HEIR, 1), RING(p, 1));                                                   \
       PERSIST(HEIR);                                                                                        \
       SENT(2, 0, RING(HEIR, 0)); SENT(2, 1, RING(HEIR, 1))                                                                                               \
     }

/* Whom the heir waits for: everybody who stays, except itself. */
#ifdef NO_FENCE
#define ALL_ANSWERED true
#else
#define ALL_ANSWERED (((7 | (LISTED * 8)) & ~BIT(VICTIM) & ~BIT(HEIR) & ~answers) == 0)
#endif

#define TAKE(p, s)                                                                                           \
  :: d_step {                                                                                                \
       ALIVE(p) && epoch[p] == 2 && HEIR == p && ALL_ANSWERED && STALE(RING(p, s)) ->                        \
       RING(p, s) = ENTRY(2, VER(RING(p, s)), p); PERSIST(p); SENT(2, s, RING(p, s));                        \
       WITNESSED(gifts == GIFTS && disks == DISKS)                                                                                               \
     }

/* --- the world --- */

#define LOSE_DISK(p)                                                                                         \
  :: d_step { disks < DISKS && ALIVE(p) && p != NEW -> disks++; leave(p) }

#ifdef SEND_BEFORE_PERSIST
#define CRASH(p)                                                                                             \
  :: d_step { ALIVE(p) && disks < DISKS && (depoch[p] != epoch[p] || dpromised[p] != promised[p] ||          \
       daccepted[p] != accepted[p] || dring[p * POS] != ring[p * POS] || dring[p * POS + 1] != ring[p * POS + 1]) -> \
       disks++;                                                                                              \
       epoch[p] = depoch[p]; promised[p] = dpromised[p]; accepted[p] = daccepted[p];                         \
       ring[p * POS] = dring[p * POS]; ring[p * POS + 1] = dring[p * POS + 1] }                     \
  :: d_step { ALIVE(p) && (depoch[p] != epoch[p] || dpromised[p] != promised[p] ||                           \
       daccepted[p] != accepted[p] || dring[p * POS] != ring[p * POS] || dring[p * POS + 1] != ring[p * POS + 1]) -> \
       save(p) }
#else
/* What is in memory is on disk after every step: a crash that keeps the disk changes nothing. */
#define CRASH(p)
#endif

#define me _pid

active [PEERS] proctype Peer() {
end:
  do
  :: atomic {
       if
#if STAGE == 1
       :: d_step { me < 2 && ALIVE(me) && epoch[me] == 0 && prepare[me] == 0 && promised[me] <= me ->
            prepare[me] = me + 1 }
       PROMISE(me, 0, 0) PROMISE(me, 0, 1)
       QUORUMS(PROPOSE_FOUNDING, me, 0) QUORUMS(PROPOSE_FOUNDING, me, 1)
       ACCEPT(me, 0, 0) ACCEPT(me, 0, 1)
       LEARN(me, 0, 0) LEARN(me, 0, 1)
       HEAR_CONFIGURATION(me, 0)
#endif
#if STAGE == 2
       PREPARE(me, 1, 0) PREPARE(me, 1, 1)
       PROMISE(me, 1, 0) PROMISE(me, 1, 1)
       PROPOSE_BOUND(me, 1)
       PROPOSE_REMOVAL(me, 0, 0) PROPOSE_REMOVAL(me, 0, 1) PROPOSE_REMOVAL(me, 0, 2)
       PROPOSE_REMOVAL(me, 1, 0) PROPOSE_REMOVAL(me, 1, 1) PROPOSE_REMOVAL(me, 1, 2)
       ACCEPT(me, 1, 0) ACCEPT(me, 1, 1)
       LEARN(me, 1, 0) LEARN(me, 1, 1)
       HEAR_CONFIGURATION(me, 0) HEAR_CONFIGURATION(me, 1)
#endif
#if STAGE == 3
       DECIDE(me, 0) DECIDE(me, 1) DECIDE(me, 2)
       HEAR_CONFIGURATION(me, 0) HEAR_CONFIGURATION(me, 1)
       /* Who has no ring yet may join the newest epoch at once. */
       :: d_step { me == NEW && ALIVE(me) && epoch[me] == 0 && configuration[1] != 0 -> adopt(me, 1) }
       ACKNOWLEDGE(me)
       TAKE(me, 0) TAKE(me, 1)
       HEAR_ENTRIES(me, 0) HEAR_ENTRIES(me, 1)
       GIVE(me, 0, 0) GIVE(me, 0, 1) GIVE(me, 0, 2) GIVE(me, 0, 3)
       GIVE(me, 1, 0) GIVE(me, 1, 1) GIVE(me, 1, 2) GIVE(me, 1, 3)
#endif
       LOSE_DISK(me)
       CRASH(me)
       fi;
       d_step { check(); forget() }
     }
  od
}

/* When nothing is left to happen: the rings of the members are equal, and every position has an owner that lives, or
 * one that is a member still (its removal is the operator's next step). */
active proctype Quiet() {
#if STAGE > 1
  atomic {
    configuration[0] == 0;
    if
    :: configuration[0] = 1
    :: configuration[0] = 3
    :: configuration[0] = 7
    fi
  }
#endif
end:
  timeout;
  d_step {
    i = 0;
    do
    :: i < PEERS ->
       if
       :: ALIVE(i) && MEMBER(i) && configuration[0] != 0 ->
          assert(epoch[i] == (configuration[1] -> 2 : 1));
          j = 0;
          do
          :: j < PEERS ->
             if
             :: STAGE == 3 && ALIVE(j) && MEMBER(j) -> assert(RING(i, 0) == RING(j, 0) && RING(i, 1) == RING(j, 1))
             :: else
             fi;
             j++
          :: else -> break
          od;
          /* With all who stay alive, the heir has taken what was left behind. */
          if
          :: configuration[1] != 0 && ALIVE(HEIR) && ALL_ANSWERED ->
             assert(MEMBER(OWNER(RING(i, 0))) && MEMBER(OWNER(RING(i, 1))) && !STALE(RING(i, 0)) && !STALE(RING(i, 1)))
          :: else
          fi
       :: else
       fi;
       i++
    :: else -> break
    od;
    i = 0; j = 0
  }
}
