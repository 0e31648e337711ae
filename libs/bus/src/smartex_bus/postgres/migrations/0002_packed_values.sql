-- Large values are kept packed (LZ4 block), so that half as many bytes pass through the write-ahead log, the table and
-- the connection. PostgreSQL could do it itself, but not every build has LZ4.
alter table bus.log add column unpacked_size integer;
comment on column bus.log.unpacked_size is 'bytes of the value once unpacked; null: it is kept as it is';

-- A writer of the version before must not go on: its readers would not understand what others write.
drop function bus.append(integer, integer, bigint, bigint, bigint, bytea[], bytea[], bytea[]);

-- As before, with the sizes of the packed values.
create function bus.append(
    p_topic integer, p_partition integer, p_producer bigint, p_batch bigint, p_time bigint,
    p_values bytea[], p_keys bytea[], p_headers bytea[], p_unpacked_sizes integer[]
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
        insert into bus.log (topic_id, partition, "offset", time_ns, key, headers, value, unpacked_size)
        select p_topic, p_partition, first_new + r.n - 1, p_time, r.key, r.headers, r.value, r.unpacked_size
          from unnest(p_values, p_keys, p_headers, p_unpacked_sizes)
               with ordinality as r (value, key, headers, unpacked_size, n);
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
