-- A small database of which every byte is fixed; ages are masked by the test that prints it.
set search_path = delta;

insert into delta_namespace (name, max_workers, expiry_ttl, created_at, updated_at) values
    ('default', null, null, '2026-01-01 08:00Z', '2026-01-01 08:00Z'),
    ('eu', 3, '5 minutes', '2026-01-01 08:00Z', '2026-01-02 08:00Z');

insert into delta_controller (
    kind, inform_interval, last_inform_time, inform_due_at, parallelism, fleet_parallelism,
    object_schema, registered_at
) values
    ('item', '15 minutes', '2026-01-01 09:00Z', '2026-01-01 09:15Z', 10, 40, '{"type": "object"}',
     '2026-01-01 08:00Z'),
    ('user', null, null, null, 4, null, null, '2026-01-01 08:00Z');

insert into delta_resource (
    namespace, kind, object_id, state, generation, synced_generation, term, attempt, max_attempts,
    sync_count, due_at, created_at, updated_at, attempted_at, synced_at, object, hash,
    last_synced_object, metadata, tags, errors
) values
    ('default', 'item', '1e5', 'synced', 1, 1, 1, 0, 5, 1, null, '2026-01-01 08:00Z',
     '2026-01-01 09:00Z', '2026-01-01 09:00Z', '2026-01-01 09:00Z', '{"id": "1e5", "price": 3}',
     '\x0a1b', null, '{"note": "déjà vu"}', '{vip,new}', '[]'),
    ('default', 'item', '日本', 'failed', 2, 1, 3, 1, 5, 1, '2026-01-01 10:00Z', '2026-01-01 08:00Z',
     '2026-01-01 09:30Z', '2026-01-01 09:30Z', '2026-01-01 09:00Z', '{"id": "日本", "price": 4}',
     '\x0a2b', '{"id": "日本", "price": 3, "old": true}', '{}', '{}',
     '[{"attempt": 1, "at": "2026-01-01T09:30:00+00:00", "error": "ValueError",
        "message": "no \u001b[31mred", "trace": null, "worker_id": 1}]'),
    ('eu', 'user', 'bob@hello.com', 'unknown', 1, null, 0, 0, 5, 0, null, '2026-01-01 08:00Z',
     '2026-01-01 08:00Z', null, null, '{"id": "bob@hello.com"}', '\x0a3b', null, '{}', '{}', '[]');

insert into delta_resource (
    namespace, kind, object_id, state, term, attempt, max_attempts, lease_until, worker_id,
    created_at, updated_at, attempted_at, object, hash
) values
    ('default', 'item', 'busy', 'pending', 1, 1, 5, 'infinity', 1, '2026-01-01 08:00Z',
     '2026-01-01 09:30Z', '2026-01-01 09:30Z', '{"id": "busy"}', '\x0a4b');

insert into delta_event (
    at, category, resource_id, namespace, kind, object_id, state, attempt, max_attempts, generation,
    sync_count, worker_id, duration_ms, error, actor
) values
    ('2026-01-01 09:00Z', 'object_synced', 2, 'default', 'item', '日本', 'synced', 1, 5, 1, 1, 1,
     12.5, null, null),
    ('2026-01-01 09:10Z', 'object_invalidated', 2, 'default', 'item', '日本', 'expired', 0, 5, 1, 1,
     null, null, null, 'ann'),
    ('2026-01-01 09:30Z', 'object_failed', 2, 'default', 'item', '日本', 'failed', 1, 5, 2, 1, 1,
     7.25, 'ValueError: no \u001b[31mred', null);

insert into delta_worker (
    host, pid, version, kinds, namespaces, state, started_at, heartbeat_at, in_flight, capacity,
    synced, failed, last_error, heartbeat_interval_s
) values
    -- However briefly the server has run, these have missed their heartbeats.
    ('host-1', 4711, '0.1', '{item,user}', null, 'running', '2026-01-01 08:00Z',
     '2026-01-01 09:00Z', 2, 10, 1, 1, 'ValueError: no', 0.001),
    ('host-2', 4712, '0.1', '{user}', '{eu}', 'draining', '2026-01-01 08:00Z',
     '2026-01-01 09:00Z', 0, 4, 0, 0, null, 0.001);

insert into delta_inform (
    kind, state, options, requested_by, worker_id, seen, created, updated, refused, error,
    created_at, started_at, finished_at
) values
    ('item', 'succeeded', '{}', 'interval', 1, 3, 2, 1, 0, null, '2026-01-01 08:59Z',
     '2026-01-01 09:00Z', '2026-01-01 09:01Z'),
    ('item', 'failed', '{"labels": {"shop": "main"}, "limit": 10}', 'command line', 1, 0, 0, 0, 0,
     'OSError: the shop is closed', '2026-01-01 09:59Z', '2026-01-01 10:00Z', '2026-01-01 10:01Z');

insert into delta_tick (
    name, interval_s, lock_id, last_start, last_success, last_count, count_key, last_duration_ms,
    next_due, registered_at
) values
    ('clean', 3600, 11, '2026-01-01 09:00Z', '2026-01-01 09:00Z', 7, 'removed', 3.5,
     '2026-01-01 10:00Z', '2026-01-01 08:00Z');
insert into delta_tick (
    name, interval_s, lock_id, enabled, last_start, last_failure, last_error, consecutive_failures,
    last_skip, last_skip_reason, registered_at
) values
    ('nightly', 86400, 12, false, '2026-01-01 09:00Z', '2026-01-01 09:00Z', 'OSError: closed', 2,
     '2026-01-01 09:30Z', 'switched off', '2026-01-01 08:00Z');
insert into delta_tick_run (name, run_id, outcome, holder, started_at, finished_at, duration_ms,
    count, count_key, error) values
    ('clean', 'r1', 'success', 'host-1:4711', '2026-01-01 09:00Z', '2026-01-01 09:00Z', 3.5, 7,
     'removed', null),
    ('nightly', 'r2', 'failed', 'host-1:4711', '2026-01-01 08:50Z', '2026-01-01 08:50Z', 1.5, null,
     null, 'OSError: closed');

insert into delta_pause (scope, name, reason, actor, created_at, until) values
    ('kind', 'user', 'the API is down', 'ann', '2026-01-01 09:00Z', null);
