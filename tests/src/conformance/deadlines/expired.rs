//! The state after an expired deadline: a stream that works as before once it is given time.

use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

use futures::future::join;
use futures::poll;
use netpoll::is_deadline_exceeded;

use crate::conformance::peers::{
    is_pattern, pattern, read_exactly, read_to_end, write_to_the_deadline,
};
use crate::conformance::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::fixtures::{assert_timed_out, in_an_hour, in_ms, past};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T:
        d11_expiry_of_reads_is_sticky_until_set_again,
        d11_expiry_of_writes_is_sticky_until_set_again,
        d11_expiry_does_not_wear_off,
        d11_reads_that_time_out_lose_nothing,
        d11_counts_of_writes_that_time_out_add_up,
        d11_a_write_all_that_times_out_has_sent_its_beginning,
        d13_a_read_deadline_ends_no_write,
        d13_a_write_deadline_ends_no_read,
    ]
}

/// All reads that begin later fail too, whatever arrives meanwhile; and with a new deadline the stream
/// is as good as before.
async fn d11_expiry_of_reads_is_sticky_until_set_again<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for again in [None, in_an_hour()] {
        near.set_read_deadline(in_ms(1))?;
        assert_timed_out(near.read(&mut [0; 16]).await);
        far.write_all(b"hello").await?;
        for _ in 0..3 {
            assert_timed_out(near.read(&mut [0; 16]).await);
            stage.sleep(Duration::from_micros(100)).await?;
        }
        near.set_read_deadline(again)?;
        assert_eq!(read_exactly(&*near, 5).await?, b"hello");
    }
    Ok(())
}

/// So do writes, though there is room again; and then the next byte follows the last one.
async fn d11_expiry_of_writes_is_sticky_until_set_again<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for again in [None, in_an_hour()] {
        near.set_write_deadline(in_ms(1))?;
        let written = write_to_the_deadline(&*near, 0).await?;
        assert!(is_pattern(&read_exactly(&*far, written).await?), "other bytes than were written");
        for _ in 0..3 {
            assert_timed_out(near.write(b"late").await);
            assert_timed_out(near.write_all(b"late").await);
            stage.sleep(Duration::from_micros(100)).await?;
        }
        near.set_write_deadline(again)?;
        near.write_all(b"world").await?;
        assert_eq!(read_exactly(&*far, 5).await?, b"world");
    }
    Ok(())
}

/// Setting the other direction's gives no time, nor does setting it into the past once more.
async fn d11_expiry_does_not_wear_off<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.set_read_deadline(in_ms(1))?;
    assert_timed_out(near.read(&mut [0; 16]).await);
    far.write_all(b"hello").await?;
    for other in [None, in_an_hour(), past()] {
        near.set_write_deadline(other)?;
        assert_timed_out(near.read(&mut [0; 16]).await);
    }
    for other in [None, in_an_hour(), past()] {
        near.set_read_deadline(other)?;
        assert_timed_out(near.write(b"late").await);
    }
    for _ in 0..3 {
        near.set_deadline(past())?;
        assert_timed_out(near.read(&mut [0; 16]).await);
        assert_timed_out(near.write(b"late").await);
    }
    Ok(())
}

/// A reader that is late again and again gets every byte, once and in order.
async fn d11_reads_that_time_out_lose_nothing<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.set_read_deadline(in_ms(1))?;
    assert_timed_out(near.read(&mut [0; 16]).await);
    let sent = pattern(1600);
    let send = {
        let (stage, sent) = (stage.clone(), sent.clone());
        async move {
            for chunk in sent.chunks(100) {
                far.write_all(chunk).await?;
                stage.sleep(Duration::from_millis(1)).await?;
            }
            far.close().await
        }
    };
    let (sending, received) = join(stage.spawn(send), read_late(&*near)).await;
    sending?;
    let received = received?;
    assert!(received == sent, "{} bytes, and not those", received.len());
    Ok(())
}

/// Reads to the end with a millisecond for each read, and as often as it takes.
async fn read_late(stream: &impl Stream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 30];
    loop {
        stream.set_read_deadline(in_ms(1))?;
        match stream.read(&mut buffer).await {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if is_deadline_exceeded(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The counts of the writes before, between and after the timeouts add up to the bytes that the peer
/// gets, to the byte and in order.
async fn d11_counts_of_writes_that_time_out_add_up<T: Transport>(stage: Stage) -> io::Result<()> {
    const SIP: usize = 256 * 1024;
    let (near, far) = stage.pair::<T>().await?;
    let (mut written, mut received) = (0, Vec::new());
    for _ in 0..4 {
        near.set_write_deadline(in_ms(5))?;
        written = write_to_the_deadline(&*near, written).await?;
        let sip = SIP.min(written - received.len());
        received.extend(read_exactly(&*far, sip).await?);
    }
    let (shut, rest) = join(async { near.shutdown(Shutdown::Write) }, read_to_end(&*far)).await;
    shut?;
    received.extend(rest?);
    assert_eq!(received.len(), written);
    assert!(is_pattern(&received), "other bytes, or in another order");
    Ok(())
}

/// Of a write that is not complete the peer gets the beginning, and then the next write.
async fn d11_a_write_all_that_times_out_has_sent_its_beginning<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    // A multiple of the pattern's period: block after block, it goes on.
    const BLOCK: usize = 251 * 256;
    const NEXT: &[u8] = &[0xff; 5];
    let (near, far) = stage.pair::<T>().await?;
    let block = pattern(BLOCK);
    near.set_write_deadline(in_ms(10))?;
    let mut whole = 0;
    let failed = loop {
        match near.write_all(&block).await {
            Ok(()) => whole += BLOCK,
            failed => break failed,
        }
    };
    assert_timed_out(failed);
    near.set_write_deadline(None)?;
    let write = async {
        near.write_all(NEXT).await?;
        near.shutdown(Shutdown::Write)
    };
    let (wrote, received) = join(write, read_to_end(&*far)).await;
    wrote?;
    let mut received = received?;
    let next = received.split_off(received.len() - NEXT.len());
    assert_eq!(next, NEXT);
    assert!((whole..whole + BLOCK).contains(&received.len()), "{}", received.len());
    assert!(is_pattern(&received), "other bytes, or in another order");
    Ok(())
}

/// Of a read and a write that are pending, the read deadline ends the read.
async fn d13_a_read_deadline_ends_no_write<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    let mut write = pin!(write_to_the_deadline(&*near, 0));
    for deadline in [past(), in_ms(2)] {
        near.set_read_deadline(None)?;
        let mut read = pin!(near.read(&mut buffer));
        assert!(poll!(read.as_mut()).is_pending());
        assert!(poll!(write.as_mut()).is_pending());
        near.set_read_deadline(deadline)?;
        assert_timed_out(read.await);
        assert!(poll!(write.as_mut()).is_pending());
    }
    near.set_write_deadline(past())?;
    let written = write.await?;
    near.set_write_deadline(None)?;
    near.shutdown(Shutdown::Write)?;
    assert_eq!(read_to_end(&*far).await?.len(), written, "with reads too late all the while");
    Ok(())
}

/// And the write deadline ends the write.
async fn d13_a_write_deadline_ends_no_read<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    let mut read = pin!(near.read(&mut buffer));
    for deadline in [past(), in_ms(2)] {
        near.set_write_deadline(None)?;
        let mut write = pin!(write_to_the_deadline(&*near, 0));
        assert!(poll!(read.as_mut()).is_pending());
        assert!(poll!(write.as_mut()).is_pending());
        near.set_write_deadline(deadline)?;
        write.await?;
        assert!(poll!(read.as_mut()).is_pending());
    }
    far.write_all(b"hello").await?;
    assert_eq!(read.await?, 5, "with writes too late all the while");
    Ok(())
}
