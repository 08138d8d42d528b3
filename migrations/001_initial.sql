-- The tables of the engine. Names are unqualified: the runner sets the search path to Delta's schema.

create type delta_resource_state as enum (
    'unknown', 'scheduled', 'pending', 'synced', 'failed', 'degraded', 'expired', 'deleted'
);

create type delta_event_category as enum (
    'object_synced', 'object_failed', 'object_deleted',
    'object_invalidated', 'object_retried', 'object_rescued'
);

-- Rules of single values are domains, which are checked when a value is stored; a check of the table
-- would be made again at every claim and completion, and matching one name costs as much as an index.
create domain delta_namespace_name as text
    constraint namespace_name check (
        char_length(value) <= 64 and value ~ '^[a-z0-9]+([_-][a-z0-9]+)*$'
    );
create domain delta_kind as text
    constraint kind_length check (char_length(value) between 1 and 127);
create domain delta_object_id as text
    constraint object_id_length check (char_length(value) between 1 and 254);

-- One object and, at the same time, its queue entry: there is no table of jobs.
create table delta_resource (
    id bigint generated always as identity primary key,
    namespace delta_namespace_name not null,
    kind delta_kind not null,
    object_id delta_object_id not null,
    state delta_resource_state not null,
    generation int not null default 1,
    synced_generation int,
    -- Counts the claims and forced releases of this row: the fence of every completion.
    term int not null default 0,
    attempt int not null default 0,
    max_attempts int not null,
    sync_count bigint not null default 0,
    priority smallint not null default 1,
    -- When the control loop must look at this row; null: never.
    due_at timestamptz,
    -- How long the claim holds; 'infinity' when the work has no time limit; null unless pending.
    lease_until timestamptz,
    worker_id bigint,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    attempted_at timestamptz,
    synced_at timestamptz,
    external_created_at timestamptz,
    object jsonb not null,
    hash bytea not null,
    -- The object that work() last succeeded on, kept only while it differs from `object`.
    last_synced_object jsonb,
    -- The object that the running work was given, kept only once an inform has replaced it.
    claimed_object jsonb,
    metadata jsonb not null default '{}',
    tags text[] not null default '{}',
    errors jsonb not null default '[]',

    constraint delta_resource_key unique (kind, namespace, object_id),
    constraint priority_range check (priority between 1 and 4),
    constraint counters_positive check (
        generation >= 1 and term >= 0 and attempt >= 0 and max_attempts >= 1 and sync_count >= 0
    ),
    constraint due_when_claimable check (
        (due_at is not null) = (state in ('scheduled', 'failed', 'expired'))
    ),
    constraint lease_when_pending check (
        (state = 'pending') = (lease_until is not null)
        and (state = 'pending') = (worker_id is not null)
        and (state <> 'pending' or (attempted_at is not null and attempt >= 1))
    ),
    constraint claimed_object_when_pending check (claimed_object is null or state = 'pending'),
    constraint synced_or_synced_at_null check (
        (synced_at is null) = (synced_generation is null)
        and (state not in ('synced', 'expired') or synced_at is not null)
        and (state <> 'synced' or (synced_generation = generation and last_synced_object is null))
        and (last_synced_object is null or synced_at is not null)
    ),
    constraint errors_array check (jsonb_typeof(errors) = 'array'),
    constraint metadata_object check (jsonb_typeof(metadata) = 'object')
)
-- Half of each page stays free for the row versions that a claim and a completion make: a drain
-- then dirties, and logs whole after a checkpoint, far fewer pages.
with (fillfactor = 50);

-- Claims, by lane and priority, oldest first.
create index delta_resource_due on delta_resource (kind, namespace, priority, due_at)
    where due_at is not null;
-- Rescue: the rows that are being worked.
create index delta_resource_lease on delta_resource (lease_until)
    where lease_until is not null;
-- Expire and clean: the rows at rest, by how long they have been so.
create index delta_resource_at_rest on delta_resource (namespace, state, updated_at)
    where due_at is null and lease_until is null;
-- Adoption, when a controller registers.
create index delta_resource_unknown on delta_resource (kind) where state = 'unknown';

create table delta_namespace (
    name delta_namespace_name primary key,
    expiry_ttl interval,
    max_workers int,
    fleet_max_workers int,
    synced_retention interval,
    degraded_retention interval,
    deleted_retention interval,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint limits_range check (
        (max_workers between 1 and 10000) is not false
        and (fleet_max_workers between 1 and 10000) is not false
    ),
    constraint ttl_or_synced_retention check (expiry_ttl is null or synced_retention is null)
);

create table delta_controller (
    kind delta_kind primary key,
    -- null: this kind is never informed on its own.
    inform_interval interval,
    -- The watermark: what the last successful run has seen; null before the first.
    last_inform_time timestamptz,
    -- When the next run is queued; null: never.
    inform_due_at timestamptz,
    inform_failures int not null default 0,
    parallelism int not null,
    fleet_parallelism int,
    object_schema jsonb,
    registered_at timestamptz not null default now()
);

create table delta_worker (
    id bigint generated always as identity primary key,
    host text not null,
    pid int not null,
    version text not null,
    kinds text[] not null,
    -- null: all of them.
    namespaces text[],
    state text not null default 'running',
    started_at timestamptz not null default now(),
    heartbeat_at timestamptz not null default now(),
    stopped_at timestamptz,
    in_flight int not null default 0,
    capacity int not null,
    synced bigint not null default 0,
    failed bigint not null default 0,
    deleted bigint not null default 0,
    last_error text,
    last_claim_at timestamptz,
    listener_lag_ms double precision,
    constraint state_known check (state in ('running', 'draining', 'stopped', 'lost'))
);

-- One row per run of a kind's informer.
create table delta_inform (
    id bigint generated always as identity primary key,
    kind text not null,
    state text not null default 'queued',
    options jsonb not null default '{}',
    requested_by text not null,
    worker_id bigint,
    lease_until timestamptz,
    seen int not null default 0,
    created int not null default 0,
    updated int not null default 0,
    unchanged int not null default 0,
    stale int not null default 0,
    skipped int not null default 0,
    refused int not null default 0,
    error text,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    constraint state_known check (state in ('queued', 'running', 'succeeded', 'failed')),
    constraint lease_when_running check ((state = 'running') = (lease_until is not null))
);

create unique index delta_inform_one_running on delta_inform (kind) where state = 'running';
create index delta_inform_queued on delta_inform (kind, id) where state = 'queued';
create index delta_inform_finished on delta_inform (finished_at) where finished_at is not null;

-- The ordered log. Writers hold one advisory lock from before the first id until their commit, so
-- that ids become visible in order.
create table delta_event (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    category delta_event_category not null,
    resource_id bigint not null,
    namespace text not null,
    kind text not null,
    object_id text not null,
    state delta_resource_state not null,
    attempt int not null,
    max_attempts int not null,
    generation int not null,
    sync_count bigint not null,
    worker_id bigint,
    duration_ms double precision,
    error text,
    actor text
);

-- Times grow with ids, so a small block-range index finds where a time begins.
create index delta_event_at on delta_event using brin (at) with (pages_per_range = 32);
