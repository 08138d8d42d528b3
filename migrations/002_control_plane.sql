-- The control plane: ticks with their health, pauses, cancels, and the limits of the whole fleet.

-- The key begins with what tells rows apart: compared first, it decides nearly always alone. Each
-- claim and completion adds an entry, and this saves an eighth of what they cost the server.
alter table delta_resource drop constraint delta_resource_key;
alter table delta_resource
    add constraint delta_resource_key unique (object_id, kind, namespace);

-- The name that all connections of a worker's process bear, and nobody else's.
alter table delta_worker add column application_name text;

-- One row per periodic service, whichever process runs it.
create table delta_tick (
    name text primary key,
    interval_s double precision not null,
    -- The key of its advisory lock.
    lock_id bigint not null,
    -- What its should_run() said last.
    enabled boolean not null default true,
    last_start timestamptz,
    last_success timestamptz,
    last_failure timestamptz,
    last_error text,
    consecutive_failures int not null default 0,
    last_skip timestamptz,
    last_skip_reason text,
    last_count bigint,
    count_key text,
    last_duration_ms double precision,
    -- When the next run is due, on a grid of intervals; null before the first.
    next_due timestamptz,
    -- Who runs it now, as "host:pid"; null while nobody does.
    holder text,
    registered_at timestamptz not null default now(),
    constraint tick_name_length check (char_length(name) between 1 and 127),
    constraint interval_positive check (interval_s > 0)
);

-- The last runs of each tick that really ran; skips are counted in delta_tick alone.
create table delta_tick_run (
    id bigint generated always as identity primary key,
    name text not null references delta_tick (name) on delete cascade,
    run_id text not null,
    -- null while it runs; skipped when it was stopped, or its database went away.
    outcome text,
    holder text not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    duration_ms double precision,
    count bigint,
    count_key text,
    error text,
    constraint outcome_known check (outcome in ('success', 'failed', 'skipped'))
);

create index delta_tick_run_of on delta_tick_run (name, id);

-- When an application or an operator last set this namespace's limits, TTL and retention; null:
-- never, it is known by its resources only.
alter table delta_namespace add column configured_at timestamptz;

-- What operators have paused; `until` null: until it is resumed.
create table delta_pause (
    scope text not null,
    name text not null,
    reason text,
    actor text,
    created_at timestamptz not null default now(),
    until timestamptz,
    primary key (scope, name),
    constraint scope_known check (scope in ('kind', 'namespace', 'worker', 'tick'))
);

-- Running works that are to be cancelled, until their worker has taken notice.
create table delta_cancel (
    resource_id bigint primary key,
    term int not null,
    worker_id bigint not null,
    actor text not null,
    requested_at timestamptz not null default now()
);

-- Limits that hold across the fleet: of a kind (fleet_parallelism) or a namespace
-- (fleet_max_workers). The counts are gauges, refreshed by the rebalance tick.
create table delta_quota (
    scope text not null,
    name text not null,
    slot_limit int not null,
    granted int not null default 0,
    used int not null default 0,
    workers int not null default 0,
    updated_at timestamptz not null default now(),
    primary key (scope, name),
    constraint scope_known check (scope in ('kind', 'namespace'))
);

-- The slots of each quota that each worker may use. A worker never uses more than `granted`; one
-- that holds more than its `target` gives the rest back as its works end.
create table delta_grant (
    worker_id bigint not null,
    scope text not null,
    name text not null,
    -- The most that this worker could use of it.
    capacity int not null,
    target int not null default 0,
    granted int not null default 0,
    used int not null default 0,
    updated_at timestamptz not null default now(),
    primary key (worker_id, scope, name),
    constraint scope_known check (scope in ('kind', 'namespace')),
    constraint counts_positive check (capacity >= 0 and target >= 0 and granted >= 0 and used >= 0)
);
