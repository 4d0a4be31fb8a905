//! What hyper reads of what the writer pushed.

use std::task::{Wake, Waker};

use super::*;

struct Silent;

impl Wake for Silent {
    fn wake(self: Arc<Self>) {}
}

/// What one poll gives: data as text, `trailers`, `end`, `aborted` or `pending`.
fn read(reader: &mut Reader) -> String {
    match reader.poll_frame(&mut Context::from_waker(&Waker::from(Arc::new(Silent)))) {
        Poll::Pending => "pending".into(),
        Poll::Ready(None) => "end".into(),
        Poll::Ready(Some(Err(BodyAborted))) => "aborted".into(),
        Poll::Ready(Some(Ok(frame))) => {
            frame.into_data().map_or("trailers".into(), |data| String::from_utf8(data.to_vec()).unwrap())
        }
    }
}

fn piece(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn pieces_come_out_in_order_and_trailers_last() {
    let (mut writer, mut reader) = channel(None, 10, &Room::new(1000));
    assert_eq!(read(&mut reader), "pending");
    writer.push(piece("ab")).unwrap();
    writer.push(Bytes::new()).unwrap();
    writer.push(piece("c")).unwrap();
    assert_eq!([read(&mut reader), read(&mut reader), read(&mut reader)], ["ab", "c", "pending"]);
    writer.finish(Some([(http::header::ETAG, "1".parse().unwrap())].into_iter().collect()));
    assert_eq!([read(&mut reader), read(&mut reader)], ["trailers", "end"]);
}

#[test]
fn the_last_byte_of_a_known_length_waits_for_the_end() {
    let (mut writer, mut reader) = channel(Some(3), 10, &Room::new(1000));
    writer.push(piece("a")).unwrap();
    writer.push(piece("bc")).unwrap();
    assert_eq!(reader.left(), Some(3));
    assert_eq!([read(&mut reader), read(&mut reader)], ["a", "pending"]);
    assert_eq!(reader.left(), Some(2));
    writer.finish(Some([(http::header::ETAG, "1".parse().unwrap())].into_iter().collect()));
    assert_eq!([read(&mut reader), read(&mut reader)], ["bc", "end"], "only a chunked body has trailers");

    let (mut writer, mut reader) = channel(Some(3), 10, &Room::new(1000));
    writer.push(piece("abc")).unwrap();
    drop(writer);
    assert_eq!(read(&mut reader), "aborted", "v2 never has the whole body");
}

#[test]
fn a_body_of_another_length_than_told_is_aborted() {
    for pushed in ["ab", "abcd"] {
        let (mut writer, mut reader) = channel(Some(3), 10, &Room::new(1000));
        writer.push(piece(pushed)).unwrap();
        writer.finish(None);
        assert_eq!(read(&mut reader), "aborted", "{pushed}");
    }
}

#[test]
fn the_buffer_takes_no_more_than_its_limit_but_always_one_piece() {
    let room = Room::new(1000);
    let (mut writer, mut reader) = channel(None, 4, &room);
    writer.push(piece("abcdef")).unwrap();
    assert_eq!(writer.push(piece("g")), Err(BodyLag::Full));
    assert_eq!(read(&mut reader), "abcdef");
    writer.push(piece("gh")).unwrap();
    writer.push(piece("ij")).unwrap();
    assert_eq!((writer.push(piece("k")), writer.buffered()), (Err(BodyLag::Full), 4));
    assert_eq!(read(&mut reader), "gh");
    assert_eq!(writer.push(piece("kl")), Ok(()));
    assert_eq!(room.used.load(Ordering::Relaxed), 2 * (PIECE + 2), "what wasn't taken takes no room");
}

#[test]
fn a_reader_that_went_away_is_not_a_slow_one() {
    let (mut writer, reader) = channel(None, 4, &Room::new(1000));
    writer.push(piece("abcd")).unwrap();
    drop(reader);
    assert_eq!((writer.push(piece("e")), writer.buffered()), (Err(BodyLag::Gone), 0));
}

#[tokio::test]
async fn the_end_is_seen_from_elsewhere() {
    let (writer, reader) = channel(None, 4, &Room::new(1000));
    let mut watch = reader.watch();
    assert_eq!(watch.now(), BodyEnd::Open);
    let waiting = tokio::spawn(async move { watch.end().await });
    writer.finish(None);
    assert_eq!(waiting.await.unwrap(), BodyEnd::Complete);
    let (writer, reader) = channel(Some(1), 4, &Room::new(1000));
    drop(writer);
    assert_eq!(reader.watch().end().await, BodyEnd::Aborted);
}

#[test]
fn bodies_share_the_room_and_give_it_back() {
    let room = Room::new(2 * (PIECE + 10));
    let [(mut one, mut reading), (mut two, gone), (mut three, _kept)] =
        [(); 3].map(|()| channel(None, 1000, &room));
    one.push(piece("0123456789")).unwrap();
    two.push(piece("0123456789")).unwrap();
    assert_eq!(three.push(piece("0")), Err(BodyLag::Full), "though nothing of its own waits");
    assert_eq!(read(&mut reading), "0123456789");
    three.push(piece("0123456789")).unwrap();
    assert_eq!(one.push(piece("0")), Err(BodyLag::Full));
    drop(gone);
    one.push(piece("0")).unwrap();
    drop((one, three));
    assert_eq!(room.used.load(Ordering::Relaxed), 0);
    drop((reading, two));
    assert_eq!(room.used.load(Ordering::Relaxed), 0);
    let (mut large, _kept) = channel(None, 1000, &Room::new(2 * (PIECE + 10) - 1));
    large.push(piece("0123456789")).unwrap();
    assert_eq!(large.push(piece("0123456789")), Err(BodyLag::Full), "a byte is missing");
    let (mut larger, _kept) = channel(None, 1000, &Room::new(1));
    larger.push(piece("0123456789")).unwrap();
}
