-- The log of the bus: topics, heads, records; producers for exact retries; groups; dead letters.

create table bus.topic (
    topic_id   integer generated always as identity primary key,
    name       text not null unique,
    partitions integer not null check (partitions > 0),
    retention  interval
);

-- One row per partition. Its lock orders the appends. The fill factor keeps updates inside the page.
create table bus.head (
    topic_id     integer not null references bus.topic,
    partition    integer not null,
    first_offset bigint not null default 0,
    next_offset  bigint not null default 0,
    primary key (topic_id, partition)
) with (fillfactor = 20);

create table bus.log (
    topic_id  integer not null,
    partition integer not null,
    "offset"  bigint not null,
    time_ns   bigint not null,
    key       bytea,
    headers   bytea,
    value     bytea not null,
    primary key (topic_id, partition, "offset")
) with (toast_tuple_target = 8160);

-- Frames are dense already: compressing them costs time and gains nothing.
alter table bus.log alter column value set storage external;

-- The last batch of every appender, so that a retry after a lost answer finds out what happened.
create table bus.producer (
    producer_id  bigint generated always as identity primary key,
    batch        bigint not null default 0,
    first_offset bigint not null default 0,
    time_ns      bigint not null default 0
) with (fillfactor = 20);

-- Appends batch p_batch of a producer and returns its first offset; a repeat of the batch appends nothing and
-- returns the same offset. A batch that is not the next one comes from a connection that was given up: refused.
create function bus.append(
    p_topic integer, p_partition integer, p_producer bigint, p_batch bigint, p_time bigint,
    p_values bytea[], p_keys bytea[], p_headers bytea[]
) returns bigint language plpgsql as $$
declare
    count_new bigint := cardinality(p_values);
    first_new bigint;
    last      record;
begin
    update bus.head set next_offset = next_offset + count_new
     where topic_id = p_topic and partition = p_partition
    returning next_offset - count_new into first_new;
    if not found then
        raise exception 'no partition % of topic %', p_partition, p_topic using errcode = 'SB002';
    end if;
    update bus.producer set batch = p_batch, first_offset = first_new, time_ns = p_time
     where producer_id = p_producer and batch = p_batch - 1;
    if found then
        insert into bus.log (topic_id, partition, "offset", time_ns, key, headers, value)
        select p_topic, p_partition, first_new + r.n - 1, p_time, r.key, r.headers, r.value
          from unnest(p_values, p_keys, p_headers) with ordinality as r (value, key, headers, n);
        return first_new;
    end if;
    update bus.head set next_offset = next_offset - count_new
     where topic_id = p_topic and partition = p_partition;
    select batch, first_offset into last from bus.producer where producer_id = p_producer;
    if last.batch = p_batch then
        return last.first_offset;
    end if;
    raise exception 'batch % of producer % is not the next one', p_batch, p_producer using errcode = 'SB001';
end $$;

create table bus.position (
    group_name  text not null,
    topic_id    integer not null references bus.topic,
    partition   integer not null,
    next_offset bigint not null,
    primary key (group_name, topic_id, partition)
);

create table bus.member (
    group_name text not null,
    member_id  uuid not null,
    topic_ids  integer[] not null,
    expires    timestamptz not null,
    primary key (group_name, member_id)
);

-- Who holds a partition of a group. The epoch grows with every change of hands and fences late commits.
create table bus.lease (
    group_name text not null,
    topic_id   integer not null references bus.topic,
    partition  integer not null,
    member_id  uuid,
    epoch      bigint not null default 0,
    primary key (group_name, topic_id, partition)
);

create table bus.dead_letter (
    id         bigint generated always as identity primary key,
    group_name text not null,
    topic      text not null,
    partition  integer not null,
    "offset"   bigint not null,
    record_ns  bigint not null,
    key        bytea not null,
    headers    bytea,
    value      bytea not null,
    reason     text not null,
    time_ns    bigint not null,
    redriven   timestamptz,
    unique (group_name, topic, partition, "offset")
);
create index dead_letter_open on bus.dead_letter (group_name, id) where redriven is null;
